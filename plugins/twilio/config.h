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
};

// `pointer` is a JSON pointer into `config:`. No fault quotes a secret.
using ReportFault = std::function<void(std::string_view pointer, std::string_view text)>;

Config read_config(std::string_view json, const ReportFault& report);

}  // namespace twilio
