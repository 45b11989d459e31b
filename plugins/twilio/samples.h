// Requests as the provider would send them, for `postern send twilio SAMPLE`. Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace twilio {

// Form bodies. `account_sid` empty: one that belongs to nobody.
std::string incoming_call_sample(std::string_view account_sid);
std::string call_status_sample(std::string_view account_sid);

}  // namespace twilio
