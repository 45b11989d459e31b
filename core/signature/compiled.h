// What DescribedScheme::compile() makes of a description. Private to the files of DescribedScheme. Thread-safety: const access from any
// thread.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/signature/described_scheme.h"
#include "core/signature/format.h"
#include "core/signature/mac.h"

namespace postern::signature {

struct DescribedScheme::Compiled {
  SchemeDescription description;  // its secrets wiped
  HeaderFormat format;
  Template signed_bytes;
  std::vector<std::string> id_delimiters;
  std::vector<KeyedMac> keys;

  // What is signed, as one text.
  std::string signed_text(std::string_view id, std::string_view timestamp, std::string_view body) const;
  void mac(const KeyedMac& key, std::string_view id, std::string_view timestamp, std::string_view body, Mac& out) const;
  std::array<std::string_view, kMaxPieces> pieces(std::string_view id, std::string_view timestamp, std::string_view body) const;
  bool is_authentic(std::span<const HeaderFormat::Candidate> candidates, std::string_view id,
                    std::string_view body) const;
  bool is_id(std::string_view id) const;
  Verdict read(const http::Request& request, std::string_view& id, HeaderFormat::Candidates& candidates) const;
};

}  // namespace postern::signature
