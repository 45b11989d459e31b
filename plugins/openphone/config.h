// Config: the plugin's `config:`, checked. Every fault is reported, with its place. Thread-safety: plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace openphone {

struct Config {
  std::vector<std::string> webhook_secrets;  // Standard Webhooks: "whsec_<base64>", the prefix may be missing
  std::vector<std::string> signing_keys;     // legacy: base64
  std::vector<std::string> shared_secrets;   // own test senders: used as they are
};

// `pointer` is a JSON pointer into `config:`. No fault quotes a secret.
using ReportFault = std::function<void(std::string_view pointer, std::string_view text)>;

Config read_config(std::string_view json, const ReportFault& report);

}  // namespace openphone
