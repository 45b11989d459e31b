// config.sip: calls that OpenAI receives by SIP.
#include <algorithm>
#include <cmath>

#include "config.h"

namespace openai_realtime {
namespace {

using nlohmann::json;

constexpr size_t kMaxSecrets = 10, kMaxTargets = 64, kMaxTarget = 512;
constexpr std::string_view kTargets = "transfer_to";

// As it stands in a SIP header of OpenAI's: nothing that would end it.
bool is_target(std::string_view uri) {
  const bool known = uri.starts_with("tel:") || uri.starts_with("sip:");
  return known && uri.size() > 4 && uri.size() <= kMaxTarget &&
         std::all_of(uri.begin(), uri.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '<' && c != '>' && c != '"'; });
}

void read_targets(Section& in, Sip& sip) {
  const json* targets = in.any(kTargets.data());
  if (targets == nullptr) return;
  if (!targets->is_object() || targets->size() > kMaxTargets) {
    return in.fault(kTargets, "must be a mapping of at most 64 names to tel: or sip: addresses");
  }
  for (const auto& [name, uri] : targets->items()) {
    if (!postern::is_name(name)) in.fault(kTargets, "has a name that is not 1 to 64 letters, digits, '_' and '-'");
    if (!uri.is_string() || !is_target(uri.get_ref<const std::string&>())) {
      in.fault(kTargets, "must lead to addresses that begin with tel: or sip:, such as tel:+14155550100");
      continue;
    }
    sip.transfer_to[name] = uri.get<std::string>();
  }
}

}  // namespace

void read_sip(Section in, bool there, Sip& sip) {
  sip.enabled = there;
  in.read("webhook_secrets", sip.webhook_secrets, kMaxSecrets);
  const bool given = in.has("webhook_secrets");
  if (there && !given) in.fault("", "needs webhook_secrets: the signing secret of OpenAI's webhook");
  if (given && in.any("webhook_secrets")->empty()) in.fault("webhook_secrets", "must have at least one secret");
  in.read("accept", sip.accept);
  double status = sip.reject_status;
  in.read("reject_status", status, 400, 699);
  if (status != std::floor(status)) in.fault("reject_status", "must be a status of SIP, such as 486");
  sip.reject_status = static_cast<int>(status);
  in.read("api_url", sip.api_url, 2048);
  if (!postern::is_safe_url(sip.api_url, "http")) {
    in.fault("api_url", "must begin with https:// (http:// only for this machine: the API key goes over it)");
  }
  read_targets(in, sip);
  in.finish();
}

}  // namespace openai_realtime
