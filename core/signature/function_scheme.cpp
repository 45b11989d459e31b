#include "core/signature/function_scheme.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/http/characters.h"
#include "core/signature/secret.h"

namespace postern::signature {
namespace {

Status check(const std::string& name, const std::string& header, const FunctionScheme::Secrets& secrets) {
  std::string context = "scheme '" + name + "'";
  if (header.empty() || !http::all_chars(header, http::kTokenChar)) return {Code::kInvalid, context + ": header is not a header name"};
  if (secrets.empty()) return {Code::kInvalid, context + " has no secret"};
  for (size_t i = 0; i < secrets.size(); ++i) {
    if (secrets[i].empty()) return {Code::kInvalid, "secret " + std::to_string(i + 1) + " of " + context + " is empty"};
  }
  return Status::ok();
}

}  // namespace

Result<std::shared_ptr<const FunctionScheme>> FunctionScheme::make(std::string name, std::string header, Secrets secrets,
                                                                   Functions functions) {
  if (Status s = check(name, header, secrets); !s) {
    wipe(secrets);
    return s;
  }
  return std::make_shared<const FunctionScheme>(std::move(name), std::move(header), std::move(secrets), std::move(functions));
}

FunctionScheme::FunctionScheme(std::string name, std::string header, Secrets secrets, Functions functions)
    : name_(std::move(name)), header_(std::move(header)), secrets_(std::move(secrets)), functions_(std::move(functions)) {}

FunctionScheme::~FunctionScheme() { wipe(secrets_); }

Verdict FunctionScheme::verify(const Presented& presented, Explanation* explanation) const {
  // Two parties that take different ones of two headers can be made to disagree about what was signed.
  size_t count = presented.request.count(header_);
  if (explanation != nullptr) {
    explanation->add("header " + header_ + ": " + (count == 0 ? "missing" : count == 1 ? "there" : "there more than once: refused"));
  }
  if (count != 1) return count == 0 ? Verdict::kMissing : Verdict::kDoubled;
  std::string headers = presented.request.headers_text();
  const http::RequestView view{presented.request.method(), presented.request.target(), headers, presented.request.body(),
                               presented.remote, &presented.urls, nullptr};
  Status status = functions_.verify(view, presented.now_ms, secrets_, explanation);
  if (status) return Verdict::kAccepted;
  if (status.code() == Code::kDenied) return Verdict::kWrong;
  {
    MutexLock lock(mutex_);
    if (uint64_t suppressed = 0; faults_.pass(suppressed)) {
      log::error("a signature could not be checked", {{"scheme", name_}, {"error", status.message()}, {"suppressed", suppressed}});
    }
  }
  if (explanation != nullptr) explanation->add("the plugin could not tell: " + status.message());
  return Verdict::kUnknown;
}

Result<Headers> FunctionScheme::sign(const Draft& draft) const {
  if (!functions_.sign) return Status(Code::kInvalid, "scheme '" + name_ + "' only verifies; its plugin does not sign");
  std::string headers = draft.request.headers_text();
  const http::RequestView view{draft.request.method(), draft.request.target(), headers, draft.request.body(), {}, &draft.urls, nullptr};
  Headers added;
  if (Status s = functions_.sign(view, draft.now_ms, secrets_.front(), added); !s) return s;
  return added;
}

Result<std::shared_ptr<const Scheme>> FunctionScheme::with_secrets(Secrets secrets) const {
  auto scheme = make(name_, header_, std::move(secrets), functions_);
  if (!scheme) return scheme.status();
  return std::shared_ptr<const Scheme>(std::move(*scheme));
}

}  // namespace postern::signature
