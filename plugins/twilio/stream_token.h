// The one-time token of a media stream: who answers the stream makes it, and knows by it that the stream belongs to a call that came in here.
// A stream's handshake alone does not tell that: it can be copied.
// Thread-safety: pure functions.
#pragma once

#include <postern/plugin.hpp>
#include <string>
#include <string_view>

namespace twilio {

constexpr std::string_view kVoice = "postern.voice/1";

// Asks `voice` for one; "" where nobody publishes it. Throws std::runtime_error when somebody does but gives none, so that the caller is not
// connected to a stream that would be refused: without a secret.
std::string stream_token(const postern::Service& voice, std::string_view call_sid);

}  // namespace twilio
