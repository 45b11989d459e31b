#include "config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>

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

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row.back();
}

std::string near_miss(std::string_view name) {
  constexpr size_t kFarthest = 4;
  std::string best;
  size_t distance = kFarthest;
  for (const Key& key : kKeys) {
    size_t d = name.size() > 64 ? kFarthest : edit_distance(name, key.name);
    if (d < distance) distance = d, best = key.name;
  }
  return best.empty() ? "; known are auth_tokens, account_sid, greeting" : "; did you mean '" + best + "'?";
}

// RFC 6901, section 3.
std::string pointer_to(std::string_view name) {
  std::string pointer = "/";
  for (char c : name) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return pointer;
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
      report(pointer_to(name), "unknown key '" + name + "'" + near_miss(name));
    } else if (!value.is_null()) {
      key->read(value, config, report);
    }
  }
  if (!root.is_object() || !root.contains("auth_tokens") || root["auth_tokens"].is_null())
    report("", "auth_tokens is missing: the account's auth token signs every request");
  return config;
}

}  // namespace twilio
