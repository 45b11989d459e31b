// A plugin that publishes and wants what its configuration says: {"publishes": "mail/1", "wants": "crm/1", "optional": "sms/1"}. Its
// service answers with the plugin's own name for itself ("me").
#include <postern/ext/services.h>

#include <string>

#include "module.h"

namespace {

std::string_view member(std::string_view json, std::string_view name) {
  std::string mark = "\"" + std::string(name) + "\":\"";
  size_t at = json.find(mark);
  if (at == std::string_view::npos) return {};
  json.remove_prefix(at + mark.size());
  return json.substr(0, json.find('"'));
}

postern_status serve(postern_instance* self, void*, postern_service_call* call) {
  return extension<postern_ext_services>(self, POSTERN_EXT_SERVICES).answer(call, str("me"));
}

postern_status init(postern_instance* self, postern_str config) {
  const auto& services = extension<postern_ext_services>(self, POSTERN_EXT_SERVICES);
  std::string_view publishes = member(view(config), "publishes"), wants = member(view(config), "wants"),
                   optional = member(view(config), "optional");
  postern_status status = POSTERN_OK;
  uint32_t number = 0;
  if (!publishes.empty()) status = services.publish(self->host, str(publishes), serve, nullptr);
  if (status == POSTERN_OK && !wants.empty()) status = services.acquire(self->host, str(wants), 0, &number);
  if (status == POSTERN_OK && !optional.empty()) status = services.acquire(self->host, str(optional), POSTERN_SERVICE_OPTIONAL, &number);
  return status;
}

}  // namespace

ABI_MODULE(.init = init)
