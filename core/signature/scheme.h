// Scheme: one way in which a provider signs. Two kinds: DescribedScheme, a description that the core runs, and FunctionScheme, a plugin's
// functions. Both verify and sign, so that `postern send` cannot drift from what the gateway accepts.
// Thread-safety: const access from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/http/request.h"
#include "core/signature/explanation.h"

namespace postern::signature {

// Why a request was refused: for the log and for `postern verify`, never for the client.
enum class Verdict {
  kAccepted,
  kMissing,    // a header that the scheme needs is not there
  kDoubled,    // a header that the scheme needs is there more than once
  kMalformed,  // the header does not read as the scheme says
  kStale,      // the timestamp is outside the tolerance
  kWrong,      // no signature matches
  kUnknown,    // the plugin could not tell: neither accepted nor refused
};
const char* to_text(Verdict verdict);

// A request as it came, and what is known about its way here.
struct Presented {
  const http::Request& request;
  int64_t now_ms;                        // Unix milliseconds
  const std::vector<std::string>& urls;  // by which the provider may have called; for schemes that sign it
  std::string_view remote;
};

// A request that is to be signed as the provider would.
struct Draft {
  const http::Request& request;
  std::string_view id;  // for schemes that sign one
  int64_t now_ms;
  const std::vector<std::string>& urls;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

class Scheme {
 public:
  virtual ~Scheme() = default;

  virtual const std::string& name() const = 0;
  // The header that carries the signature: a request without it is not of this scheme.
  virtual const std::string& header() const = 0;
  bool applies_to(const http::Request& request) const { return request.header(header()).has_value(); }

  // Whether verify() and sign() run a plugin's code: then never on an event loop.
  virtual bool runs_plugin() const = 0;

  // `explanation`, where there is one, gets each step.
  virtual Verdict verify(const Presented& presented, Explanation* explanation) const = 0;
  // The headers that the provider would add, made with the first secret.
  virtual Result<Headers> sign(const Draft& draft) const = 0;
  // The same scheme with other secrets.
  virtual Result<std::shared_ptr<const Scheme>> with_secrets(std::vector<std::string> secrets) const = 0;
};

}  // namespace postern::signature
