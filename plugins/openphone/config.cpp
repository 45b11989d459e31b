#include "config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <postern/unknown_key.hpp>

namespace openphone {
namespace {

using nlohmann::json;

enum class SecretKind { kText, kBase64, kWhsec };

struct Key {
  const char* name;
  SecretKind kind;
  std::vector<std::string> Config::*list;
};

constexpr std::array<Key, 3> kKeys = {{{"webhook_secrets", SecretKind::kWhsec, &Config::webhook_secrets},
                                       {"signing_keys", SecretKind::kBase64, &Config::signing_keys},
                                       {"shared_secrets", SecretKind::kText, &Config::shared_secrets}}};

bool is_base64(std::string_view text, bool unpadded_too) {
  size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) text.remove_suffix(1), ++padding;
  bool alphabet = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
  bool padded = (text.size() + padding) % 4 == 0;
  bool whole = padded || (unpadded_too && padding == 0 && text.size() % 4 != 1);
  return alphabet && whole && !text.empty();
}

std::vector<std::string_view> known_keys() {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) names.emplace_back(key.name);
  return names;
}

std::string fault_of(const json& value, SecretKind kind) {
  if (!value.is_string()) return "must be a string";
  std::string_view secret = value.get_ref<const std::string&>();
  if (secret.empty()) return "is empty: a secret that everybody knows protects nothing";
  if (kind == SecretKind::kText) return {};
  if (kind == SecretKind::kWhsec && secret.starts_with("whsec_")) secret.remove_prefix(6);
  if (is_base64(secret, kind == SecretKind::kWhsec)) return {};
  return kind == SecretKind::kWhsec ? "is not of the form whsec_<base64>" : "is not base64";
}

void read_list(const json& list, const Key& key, Config& config, const ReportFault& report) {
  std::string pointer = postern::pointer_to(key.name);
  if (list.is_null()) return;
  if (!list.is_array()) return report(pointer, std::string(key.name) + " must be a list of strings");
  for (size_t i = 0; i < list.size(); ++i) {
    std::string fault = fault_of(list[i], key.kind);
    if (fault.empty()) {
      (config.*key.list).push_back(list[i].get<std::string>());
    } else {
      report(pointer + "/" + std::to_string(i), std::string(key.name) + "[" + std::to_string(i) + "] " + fault);
    }
  }
}

}  // namespace

Config read_config(std::string_view text, const ReportFault& report) {
  Config config;
  bool faulty = false;
  auto fault = [&](std::string_view pointer, std::string_view why) {
    faulty = true;
    report(pointer, why);
  };
  json root = json::parse(text, nullptr, false);
  if (root.is_discarded() || !(root.is_object() || root.is_null())) {
    fault("", "config must be a mapping");
    return config;
  }
  for (const auto& [name, value] : root.items()) {
    const std::string& wanted = name;
    auto key = std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& one) { return wanted == one.name; });
    if (key == kKeys.end()) {
      fault(postern::pointer_to(name), postern::unknown_key(name, known_keys()));
    } else {
      read_list(value, *key, config, fault);
    }
  }
  bool none = config.webhook_secrets.empty() && config.signing_keys.empty() && config.shared_secrets.empty();
  if (none && !faulty) fault("", "no secret: set webhook_secrets, signing_keys or shared_secrets");
  return config;
}

}  // namespace openphone
