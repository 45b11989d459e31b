#include "core/extension/table.h"

#include <postern/ext/client.h>
#include <postern/ext/events.h>
#include <postern/ext/http.h>
#include <postern/ext/log.h>
#include <postern/ext/metrics.h>
#include <postern/ext/records.h>
#include <postern/ext/reports.h>
#include <postern/ext/routes.h>
#include <postern/ext/schemes.h>
#include <postern/ext/services.h>
#include <postern/ext/timers.h>
#include <postern/ext/websocket.h>

#include "core/base/version.h"
#include "core/extension/convert.h"

namespace postern::extension {
namespace {

struct Known {
  std::string_view id;
  const void* (*table)();
};
constexpr Known kKnown[] = {
    {POSTERN_EXT_SCHEMES, schemes}, {POSTERN_EXT_ROUTES, routes}, {POSTERN_EXT_EVENTS, events}, {POSTERN_EXT_RECORDS, records},
    {POSTERN_EXT_HTTP, http},       {POSTERN_EXT_LOG, log},       {POSTERN_EXT_HEALTH, health},
    {POSTERN_EXT_METRICS, metrics}, {POSTERN_EXT_CLIENT, client},
    {POSTERN_EXT_TIMERS, timers},   {POSTERN_EXT_SERVICES, services},
    {POSTERN_EXT_WEBSOCKET, websocket_sessions}, {POSTERN_EXT_REPORTS, reports},
};

const void* find(std::string_view id) {
  for (const Known& known : kKnown) {
    if (known.id == id) return known.table();
  }
  return nullptr;
}

void config_fault(postern_host* host, postern_str pointer, postern_str text) {
  contained([&] { return in_init(host) ? tell_fault(host, {copy(pointer), copy(text), {}}) : POSTERN_E_STATE; });
}

}  // namespace

postern_status tell_fault(postern_host* host, plugin::ConfigFault fault) {
  constexpr size_t kMaxFaults = 100;
  if (host->registrations.faults.size() >= kMaxFaults) return POSTERN_E_LIMIT;
  host->registrations.faults.push_back(std::move(fault));
  return POSTERN_OK;
}

bool has_extension(std::string_view id) { return find(id) != nullptr; }

const postern_host_api& host_api() {
  static const postern_host_api api = [] {
    postern_host_api a{};
    a.struct_size = sizeof a;
    a.abi_major = POSTERN_ABI_MAJOR;
    a.abi_minor = POSTERN_ABI_MINOR;
    a.name = borrow("postern");
    a.version = borrow(version());
    a.get_extension = [](postern_host*, postern_str id) { return find(view(id)); };
    a.set_error = [](postern_host*, postern_str text) { plugin::leave_error(view(text)); };
    a.config_fault = config_fault;
    a.plugin_name = [](postern_host* host) { return borrow(host->name); };
    return a;
  }();
  return api;
}

}  // namespace postern::extension
