// postern.health/1
#include <postern/ext/health.h>

#include <nlohmann/json.hpp>

#include "core/extension/convert.h"
#include "core/extension/table.h"

namespace postern::extension {
namespace {

postern_status add(postern_host* host, postern_str name, uint32_t interval_ms, postern_health_check check, void* user) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "health checks are added in init");
    if (check == nullptr || name.len == 0) return fail(POSTERN_E_INVALID, "a health check needs a name and a function");
    host->registrations.health_checks.push_back({copy(name), interval_ms, check, user});
    return POSTERN_OK;
  });
}

postern_status report(postern_health_report* out, uint32_t status, postern_str message, postern_str details_json) {
  return contained([&]() -> postern_status {
    if (status < POSTERN_HEALTHY || status > POSTERN_UNHEALTHY) return fail(POSTERN_E_INVALID, "unknown health status");
    if (details_json.len > 0 && !nlohmann::json::parse(view(details_json), nullptr, false).is_object()) {
      return fail(POSTERN_E_INVALID, "details must be a JSON object");
    }
    out->status = status;
    out->message = copy(message);
    out->details_json = copy(details_json);
    return POSTERN_OK;
  });
}

}  // namespace

const void* health() {
  static const postern_ext_health table{add, report};
  return &table;
}

}  // namespace postern::extension
