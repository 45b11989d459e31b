// Scheme: a signature scheme as data (what postern_scheme_desc says, in C++), compiled for use.
//
// One class verifies and signs, so that `postern send` can never drift from what the gateway accepts.
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

namespace postern::signature {

enum class Algorithm { kHmacSha1, kHmacSha256, kHmacSha512 };
enum class Encoding { kHex, kBase64 };
enum class SecretEncoding { kRaw, kBase64, kWhsec };
enum class TimeUnit { kSeconds, kMilliseconds };

struct SchemeDescription {
  std::string name;
  Algorithm algorithm = Algorithm::kHmacSha256;
  std::string header;
  std::string format = "{signature}";
  std::string separator;  // empty or one character
  std::string timestamp_header;
  std::string id_header;
  std::string signed_bytes = "{body}";
  Encoding signature_encoding = Encoding::kHex;
  SecretEncoding secret_encoding = SecretEncoding::kRaw;
  TimeUnit timestamp_unit = TimeUnit::kSeconds;
  uint32_t tolerance_s = 300;
  std::vector<std::string> secrets;
};

// Why a request was refused: for the log and for `postern verify`, never for the client.
enum class Verdict {
  kAccepted,
  kMissing,          // a header that the scheme needs is not there
  kDoubled,          // a header that the scheme needs is there more than once
  kMalformed,        // the header does not read as the scheme says
  kStale,            // the timestamp is outside the tolerance
  kWrong,            // no signature matches
};
const char* to_text(Verdict verdict);

class Scheme {
 public:
  // Refuses descriptions that make no sense, an empty list of secrets, and secrets that are empty or do not decode.
  static Result<Scheme> compile(SchemeDescription description);

  Scheme(Scheme&&) noexcept;
  Scheme& operator=(Scheme&&) noexcept;
  ~Scheme();

  // As compiled, with its defaults filled in; the secrets are wiped and the list of them is empty.
  const SchemeDescription& description() const;
  const std::string& name() const { return description().name; }

  // Whether the request carries this scheme's signature header at all.
  bool applies_to(const http::Request& request) const;

  // `now_ms`: Unix milliseconds.
  Verdict verify(const http::Request& request, int64_t now_ms) const;

  // The headers that a provider with the first secret would send with this body; `id` stands for {id}. Empty when
  // OpenSSL fails (no memory).
  std::vector<std::pair<std::string, std::string>> sign(std::string_view id, std::string_view body, int64_t now_ms) const;

 private:
  struct Compiled;
  explicit Scheme(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace postern::signature
