// OpenAI's webhook about incoming calls: its route and signature, and what it says. Source: OpenAI docs "Webhooks", "Realtime API with
// SIP"; the Standard Webhooks specification. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>

#include "config.h"

namespace openai_realtime {

// In init: the scheme, the route, a sample.
void register_sip_webhook(const Config& config, postern::Setup& setup);

struct IncomingCall {
  std::string call_id;      // "rtc_…"
  std::string from, to;     // a number where it is one, else the address of SIP; as the caller's side says it: not to be trusted
  std::string sip_call_id;  // the header Call-ID
  std::optional<int64_t> created_ms;  // Unix
};
// Nothing when it has no call id that is one.
std::optional<IncomingCall> read_incoming_call(std::string_view body);

}  // namespace openai_realtime
