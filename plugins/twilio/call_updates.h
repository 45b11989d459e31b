// What other plugins may do with a call that is under way: the service `twilio.calls/1`. Source: Twilio documentation, "Call resource".
//
//   update   {"call_sid": "CA…", "twiml": "<Response>…</Response>"}   the call goes on with this document
//            {"call_sid": "CA…", "status": "completed"}               it ends
//            → {"sid": "CA…", "status": "in-progress"}
//
// Updating a call twice is updating it once, so that a request whose answer was lost is sent again.
// Thread-safety: after init, any number of calls at once. Errors: as services tell them, by postern::ServiceError, Retry and Dead; none has
// a secret.
#pragma once

#include <postern/plugin.hpp>
#include <string>

#include "config.h"

namespace twilio {

class CallUpdates {
 public:
  // [main] In init. Without an account there is no upstream, and the service says what is missing.
  void init(postern::Setup& setup, const Config& config);

  std::string serve(postern::ServiceCall& call) const;

 private:
  std::string update(postern::ServiceCall& call) const;

  std::string account_sid_, authorization_;
  postern::Upstream api_;
};

}  // namespace twilio
