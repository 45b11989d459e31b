// DescribedScheme: a signature scheme as data, compiled for use.
//
// Attacks it stands against: forged and altered requests (MAC over the exact bytes), replay (tolerance both ways), timing
// (constant-time comparison of decoded bytes), header doubling (refused), an empty secret that everybody knows (refused).
// Thread-safety: const access from any thread after compile().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/http/request.h"
#include "core/signature/description.h"
#include "core/signature/scheme.h"

namespace postern::signature {

class DescribedScheme final : public Scheme {
 public:
  // Refuses descriptions that make no sense, an empty list of secrets, and secrets that are empty or do not decode.
  static Result<DescribedScheme> compile(SchemeDescription description);

  DescribedScheme(DescribedScheme&&) noexcept;
  DescribedScheme& operator=(DescribedScheme&&) noexcept;
  ~DescribedScheme() override;

  // As compiled, with its defaults filled in; the secrets are wiped and the list of them is empty.
  const SchemeDescription& description() const;
  const std::string& name() const override { return description().name; }
  const std::string& header() const override { return description().header; }
  bool runs_plugin() const override { return false; }

  Verdict verify(const Presented& presented, Explanation* explanation) const override;
  Result<Headers> sign(const Draft& draft) const override;
  Result<std::shared_ptr<const Scheme>> with_secrets(std::vector<std::string> secrets) const override;

  // `now_ms`: Unix milliseconds.
  Verdict verify(const http::Request& request, int64_t now_ms) const;

  // The headers that a provider with the first secret would send with this body; `id` stands for {id}. Empty when
  // OpenSSL fails (no memory).
  Headers sign(std::string_view id, std::string_view body, int64_t now_ms) const;

 private:
  struct Compiled;
  void explain(const http::Request& request, int64_t now_ms, Verdict verdict, Explanation& explanation) const;
  explicit DescribedScheme(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace postern::signature
