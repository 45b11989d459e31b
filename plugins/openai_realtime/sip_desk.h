// SipDesk: takes or rejects the calls that OpenAI has by SIP, and does with those that there are what other plugins ask for.
// Thread-safety: any thread.
#pragma once

#include <optional>
#include <postern/plugin.hpp>
#include <string>

#include "shared.h"
#include "sip_api.h"
#include "sip_webhook.h"

namespace openai_realtime {

class SipDesk {
 public:
  // In init: the webhook, and whom to ask. `shared` outlives it.
  SipDesk(Shared& shared, postern::Setup& setup);

  // Of a realtime.call.incoming.
  postern::Outcome on_incoming(postern::Delivery& delivery) const;

  // The methods "hangup" and "refer" of postern.voice/1; nothing for any other.
  std::optional<std::string> serve(const postern::ServiceCall& call) const;

 private:
  postern::Outcome reject(postern::Delivery& delivery, const std::string& call_id) const;
  postern::Outcome accept(postern::Delivery& delivery, const IncomingCall& incoming) const;
  postern::Outcome failed(const postern::ClientResponse& answer, std::string_view what) const;

  Shared& shared_;
  const Config& config_;
  SipApi api_;
};

}  // namespace openai_realtime
