#include "config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <postern/unknown_key.hpp>

namespace twilio {
namespace {

using nlohmann::json;

constexpr size_t kMaxTokens = 10;         // each costs an HMAC for every URL that is tried
constexpr size_t kMaxGreetingBytes = 4096;

void read_tokens(const json& list, Config& config, const ReportFault& report) {
  if (!list.is_array()) return report("/auth_tokens", "auth_tokens must be a list of strings");
  if (list.empty()) return report("/auth_tokens", "auth_tokens is empty: without a token no request can be verified");
  if (list.size() > kMaxTokens)
    return report("/auth_tokens", "auth_tokens has more than " + std::to_string(kMaxTokens) + " entries");
  for (size_t i = 0; i < list.size(); ++i) {
    std::string place = std::to_string(i);
    bool text = list[i].is_string();
    if (text && !list[i].get_ref<const std::string&>().empty()) {
      config.auth_tokens.push_back(list[i].get<std::string>());
    } else {
      const char* fault = text ? "is empty: a secret that everybody knows protects nothing" : "must be a string";
      report("/auth_tokens/" + place, "auth_tokens[" + place + "] " + fault);
    }
  }
}

bool is_account_sid(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  return text.size() == 34 && text.starts_with("AC") && text.find_first_not_of(kHex, 2) == text.npos;
}

void read_account(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_string()) return report("/account_sid", "account_sid must be a string");
  if (!is_account_sid(value.get_ref<const std::string&>()))
    return report("/account_sid", "account_sid is not AC and 32 hex digits");  // nor quoted: it might be a token
  config.account_sid = value.get<std::string>();
}

void read_greeting(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_string()) return report("/greeting", "greeting must be a string");
  if (value.get_ref<const std::string&>().size() > kMaxGreetingBytes)
    return report("/greeting", "greeting is longer than " + std::to_string(kMaxGreetingBytes) + " bytes");
  config.greeting = value.get<std::string>();
}

struct Key {
  const char* name;
  void (*read)(const json&, Config&, const ReportFault&);
};
constexpr std::array<Key, 3> kKeys = {
    {{"auth_tokens", &read_tokens}, {"account_sid", &read_account}, {"greeting", &read_greeting}}};

std::vector<std::string_view> known_keys() {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) names.emplace_back(key.name);
  return names;
}

}  // namespace

Config read_config(std::string_view text, const ReportFault& report) {
  Config config;
  json root = json::parse(text, nullptr, false);
  if (root.is_discarded() || !(root.is_object() || root.is_null())) {
    report("", "config must be a mapping");
    return config;
  }
  for (const auto& [name, value] : root.items()) {
    const std::string& wanted = name;
    auto key = std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& one) { return wanted == one.name; });
    if (key == kKeys.end()) {
      report(postern::pointer_to(name), postern::unknown_key(name, known_keys()));
    } else if (!value.is_null()) {
      key->read(value, config, report);
    }
  }
  if (!root.is_object() || !root.contains("auth_tokens") || root["auth_tokens"].is_null())
    report("", "auth_tokens is missing: the account's auth token signs every request");
  return config;
}

}  // namespace twilio
