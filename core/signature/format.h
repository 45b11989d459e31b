// The small languages of a scheme: how a signature header reads (`format`, `separator`) and what is signed
// (`signed_bytes`). The grammar is in sdk/include/postern/ext/schemes.h, what it means in core/signature/README.md.
//
// Matching is deterministic: a {signature} has the length that its MAC and encoding give it, a {timestamp} is a run of
// 1 to 15 digits, a literal is itself. There is no search and no backtracking; the time is linear in the header,
// whatever it holds. Thread-safety: const access from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/signature/mac.h"
#include "core/signature/description.h"

namespace postern::signature {

// A literal, or a placeholder.
struct Piece {
  enum class Kind { kLiteral, kSignature, kTimestamp, kId, kBody };
  Kind kind = Kind::kLiteral;
  std::string literal;
};
using Template = std::vector<Piece>;

bool contains(const Template& pieces, Piece::Kind kind);

// `what` names the text in errors; `allowed` are the placeholders that it may hold. At most kMaxPieces pieces.
constexpr size_t kMaxPieces = 16;
Result<Template> parse_template(std::string_view text, std::string_view what, std::span<const Piece::Kind> allowed);

// Digits only, at most 15 of them, so that seconds still fit 64 bits as milliseconds.
constexpr size_t kMaxTimestampDigits = 15;
bool is_timestamp(std::string_view text);

class HeaderFormat {
 public:
  // A list of a thousand entries would be a thousand comparisons a request; real lists hold one to four.
  static constexpr size_t kMaxEntries = 16;

  struct Candidate {
    Mac signature;
    std::string_view timestamp;  // text as received; empty where the format has none
  };
  struct Candidates {
    std::array<Candidate, kMaxEntries> list;
    size_t count = 0;
    std::span<const Candidate> span() const { return {list.data(), count}; }
  };

  static Result<HeaderFormat> parse(const SchemeDescription& description);

  bool has_timestamp() const { return has_timestamp_; }

  // The signatures in a header's value, decoded, each with the timestamp that it goes with; at least one. False:
  // malformed.
  bool match(std::string_view value, Candidates& out) const;

  // The value that a sender would write.
  std::string build(const Mac& signature, std::string_view timestamp) const;

 private:
  bool match_list(std::string_view value, Candidates& out) const;
  bool match_entry(std::string_view entry, Candidates& out) const;
  bool fits(const Template& alternative, std::string_view entry, Candidate& found) const;
  bool decode(std::string_view text, Mac& out) const;
  void append(const Template& alternative, const Mac& signature, std::string_view timestamp, std::string& out) const;
  Status check() const;

  std::vector<Template> signatures_;  // the alternatives with {signature}
  std::vector<Template> timestamps_;  // the alternatives with {timestamp} alone
  char separator_ = '\0';             // NUL: one value
  bool has_timestamp_ = false;
  Encoding encoding_ = Encoding::kHex;
  size_t mac_size_ = 0;
  size_t text_size_ = 0;  // of an encoded signature
};

}  // namespace postern::signature
