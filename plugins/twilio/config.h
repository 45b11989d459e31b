// Config: the plugin's `config:`, checked. Every fault is reported, with its place. Thread-safety: plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace twilio {

struct Config {
  std::vector<std::string> auth_tokens;  // 1 to 10; the first one signs
  std::string account_sid;               // "AC" and 32 hex digits; empty: requests of every account are taken
  std::string greeting;                  // said before the stream; empty: none
  std::string stream_path = "/api/v1/voice/media-stream";
  // Twilio's REST API: with account_sid, and the key where there is one, else the first auth token.
  std::string api_url = "https://api.twilio.com";
  std::string api_key_sid, api_key_secret;  // "SK" and 32 hex digits; both or none
};

// `pointer` is a JSON pointer into `config:`. No fault quotes a secret.
using ReportFault = std::function<void(std::string_view pointer, std::string_view text)>;

// A prefix of two letters and 32 hex digits: "AC…", "CA…".
bool is_sid(std::string_view text, std::string_view prefix);

Config read_config(std::string_view json, const ReportFault& report);

}  // namespace twilio
