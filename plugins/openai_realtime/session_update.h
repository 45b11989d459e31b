// The session that the model is asked for: openai.md §2. Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config.h"

namespace openai_realtime {

// What a call wants otherwise than the configuration: the <Parameter>s of its <Stream>.
struct Overrides {
  std::string model, voice, instructions, greeting;
};
Overrides overrides_of(const std::vector<std::pair<std::string_view, std::string_view>>& parameters);

// The `session` of a session.update, as JSON.
std::string session_json(const Config& config, const Overrides& overrides);
// The same for a call by SIP, which is accepted with it: it says the model, and nothing of the audio's format, which SIP negotiates; and it
// offers kTransferTool.
std::string sip_session_json(const Config& config);
// Whose session it is; with the key.
std::vector<std::pair<std::string, std::string>> session_headers(const Config& config);
// The address with `?call_id=` behind it: the control of a call by SIP.
std::string control_url(const Config& config, std::string_view call_id);
// Of a path's segment or a parameter.
std::string percent_encoded(std::string_view text);
// The address with `?model=` behind it.
std::string model_url(const Config& config, const Overrides& overrides);

}  // namespace openai_realtime
