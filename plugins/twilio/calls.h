// What events do: the record `calls` and the follow-on event NAME.call.ended.
//
// Twilio does not keep the order of status callbacks. So of two states the one that is further on counts: a final one before any
// other, then the higher SequenceNumber. Delivered twice or in any order, the same events leave the same status and times.
// Thread-safety: any number of workers at once. Errors: throws postern::Dead for a call without a usable CallSid.
#pragma once

#include <postern/plugin.hpp>

namespace twilio {

// For `call.incoming` and `call.status`.
void handle_call(postern::Delivery& delivery);

}  // namespace twilio
