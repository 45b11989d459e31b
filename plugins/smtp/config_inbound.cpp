#include "config_inbound.h"

#include <algorithm>

#include "sendgrid_signature.h"

namespace smtp {
namespace {

using nlohmann::json;

constexpr size_t kMaxKeys = 5;  // each costs a forged request's verification once more

void read_keys(Section& in, std::vector<std::string>& keys) {
  const json* list = in.any("public_keys");
  if (list == nullptr)
    return in.fault("", "public_keys is missing: a list of the key that SendGrid shows at the Event Webhook's signature verification");
  if (!list->is_array() || list->empty() || list->size() > kMaxKeys) return in.fault("public_keys", "must be a list of 1 to 5 texts");
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string key = (*list)[i].is_string() ? (*list)[i].get<std::string>() : "";
    if (const auto fault = fault_of_sendgrid_key(key)) {
      in.fault_at("public_keys/" + std::to_string(i), "public_keys[" + std::to_string(i) + "] " + *fault);
    } else if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      in.fault_at("public_keys/" + std::to_string(i), "public_keys[" + std::to_string(i) + "] is there before");
    } else {
      keys.push_back(key);
    }
  }
}

}  // namespace

void read_inbound(Section in, SendgridOptions& sendgrid) {
  const bool wanted = in.has("sendgrid");
  Section section = in.section("sendgrid");
  if (wanted) {
    read_keys(section, sendgrid.public_keys);
    section.read("tolerance", sendgrid.tolerance, std::chrono::seconds(1), std::chrono::hours(72));
    section.finish();
  }
  in.finish();
}

}  // namespace smtp
