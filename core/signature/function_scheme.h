// FunctionScheme: a scheme that a plugin checks itself, for signatures that no description fits. The plugin is given the request and
// the secrets; what it must not get wrong (the header there and there once, at least one secret) is checked here.
// Thread-safety: const access from any thread but an event loop's: the plugin may take its time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/http/request_view.h"
#include "core/signature/scheme.h"

namespace postern::signature {

class FunctionScheme final : public Scheme {
 public:
  using Secrets = std::vector<std::string>;
  struct Functions {
    // kDenied: not genuine. Any other failure: it could not be told.
    std::function<Status(const http::RequestView&, int64_t now_ms, const Secrets&, Explanation*)> verify;
    // May be empty: samples of this scheme cannot be signed.
    std::function<Status(const http::RequestView&, int64_t now_ms, const std::string& secret, Headers&)> sign;
  };

  // Refuses a header that is none, an empty list of secrets and empty secrets.
  static Result<std::shared_ptr<const FunctionScheme>> make(std::string name, std::string header, Secrets secrets, Functions functions);
  FunctionScheme(std::string name, std::string header, Secrets secrets, Functions functions);
  ~FunctionScheme() override;  // wipes the secrets
  FunctionScheme(const FunctionScheme&) = delete;
  FunctionScheme& operator=(const FunctionScheme&) = delete;

  const std::string& name() const override { return name_; }
  const std::string& header() const override { return header_; }
  bool runs_plugin() const override { return true; }
  Verdict verify(const Presented& presented, Explanation* explanation) const override EXCLUDES(mutex_);
  Result<Headers> sign(const Draft& draft) const override;
  Result<std::shared_ptr<const Scheme>> with_secrets(Secrets secrets) const override;

 private:
  const std::string name_, header_;
  Secrets secrets_;
  const Functions functions_;
  mutable Mutex mutex_;
  mutable log::Throttle faults_ GUARDED_BY(mutex_){20};
};

}  // namespace postern::signature
