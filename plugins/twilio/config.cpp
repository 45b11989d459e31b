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
constexpr size_t kMaxPathBytes = 1024;

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


void read_account(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_string()) return report("/account_sid", "account_sid must be a string");
  if (!is_sid(value.get_ref<const std::string&>(), "AC"))
    return report("/account_sid", "account_sid is not AC and 32 hex digits");  // nor quoted: it might be a token
  config.account_sid = value.get<std::string>();
}

void read_greeting(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_string()) return report("/greeting", "greeting must be a string");
  if (value.get_ref<const std::string&>().size() > kMaxGreetingBytes)
    return report("/greeting", "greeting is longer than " + std::to_string(kMaxGreetingBytes) + " bytes");
  config.greeting = value.get<std::string>();
}

// A path of a URL as it goes over the wire: nothing of it needs encoding, and no query, which Twilio refuses in a stream's URL.
void read_stream_path(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_string()) return report("/stream_path", "stream_path must be a string");
  const std::string& path = value.get_ref<const std::string&>();
  if (!path.starts_with('/')) return report("/stream_path", "stream_path must begin with '/', as in /api/v1/voice/media-stream");
  bool plain = std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!plain || path.find_first_of("?#\"<>\\^`{|}") != path.npos || path.size() > kMaxPathBytes)
    return report("/stream_path", "stream_path is not the path of a URL: plain ASCII without blanks, '?' and '#', at most " +
                                      std::to_string(kMaxPathBytes) + " bytes");
  config.stream_path = path;
}

bool is_loopback(std::string_view authority) {
  std::string_view host = authority.substr(0, authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':'));
  return host == "127.0.0.1" || host == "[::1]" || host == "localhost";
}

// The credentials go there, so nobody may read along.
void read_api_url(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_string()) return report("/api_url", "api_url must be a string");
  std::string url = value.get<std::string>();
  while (url.ends_with('/')) url.pop_back();
  bool https = url.starts_with("https://");
  std::string_view rest = std::string_view(url).substr(https ? 8 : std::min<size_t>(7, url.size()));
  std::string_view authority = rest.substr(0, rest.find('/'));
  bool plain = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7F; });
  bool local = url.starts_with("http://") && is_loopback(authority);
  if (!plain || authority.empty() || rest.find_first_of("?#@") != rest.npos || !(https || local))
    return report("/api_url", "api_url is not an address like https://api.twilio.com, without user and query; http only to this machine");
  config.api_url = url;
}

void read_api_key(const json& value, Config& config, const ReportFault& report) {
  if (!value.is_object()) return report("/api_key", "api_key must be a mapping: {sid: SK…, secret: …}");
  constexpr std::array<std::string_view, 2> kParts = {"sid", "secret"};
  for (const auto& [name, one] : value.items()) {
    const std::string place = postern::pointer_to("api_key") + postern::pointer_to(name);
    if (name != "sid" && name != "secret") {
      report(place, postern::unknown_key(name, kParts));
    } else if (!one.is_string() || one.get_ref<const std::string&>().empty()) {
      report(place, "api_key." + name + " must be a string that is not empty");
    } else if (name == "sid" && !is_sid(one.get_ref<const std::string&>(), "SK")) {
      report(place, "api_key.sid is not SK and 32 hex digits");  // nor quoted: it might be the secret
    } else {
      (name == "sid" ? config.api_key_sid : config.api_key_secret) = one.get<std::string>();
    }
  }
  for (std::string_view name : kParts) {
    if (!value.contains(name)) report("/api_key", "api_key needs its " + std::string(name));
  }
}

struct Key {
  const char* name;
  void (*read)(const json&, Config&, const ReportFault&);
};
constexpr std::array<Key, 6> kKeys = {{{"auth_tokens", &read_tokens},
                                        {"account_sid", &read_account},
                                        {"greeting", &read_greeting},
                                        {"stream_path", &read_stream_path},
                                        {"api_url", &read_api_url},
                                        {"api_key", &read_api_key}}};

std::vector<std::string_view> known_keys() {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) names.emplace_back(key.name);
  return names;
}

}  // namespace

bool is_sid(std::string_view text, std::string_view prefix) {
  constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  return text.size() == 34 && text.starts_with(prefix) && text.find_first_not_of(kHex, 2) == text.npos;
}

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
  if (!config.api_key_sid.empty() && root.value("account_sid", json()).is_null())
    report("/api_key", "api_key needs account_sid beside it: whose calls it acts on");
  return config;
}

}  // namespace twilio
