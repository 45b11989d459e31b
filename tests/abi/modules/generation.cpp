// A plugin of another generation of the same ABI major: its sized structs are shorter (older) or longer (newer) than this host's.
#include "module.h"

#include <cstddef>

namespace {

#ifdef OLDER
// Before get_extension came to postern_plugin, and before everything behind `path` came to postern_route_desc.
constexpr uint32_t kPluginSize = offsetof(postern_plugin, get_extension);
constexpr uint32_t kRouteSize = offsetof(postern_route_desc, wait_ms);
#else
constexpr uint32_t kPluginSize = sizeof(postern_plugin) + 64;
constexpr uint32_t kRouteSize = sizeof(postern_route_desc) + 64;
#endif

// In memory they are as long as they say, or end in what an older compiler would have put behind them.
struct Route {
  postern_route_desc known;
  unsigned char tail[64];
};

postern_status init(postern_instance* self, postern_str) {
  const auto& routes = extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES);
  Route route{unsigned_route("/generation"), {}};
  route.known.struct_size = kRouteSize;
  route.known.wait_ms = 4711;
  for (unsigned char& byte : route.tail) byte = 0xab;
#ifdef OLDER
  // Its flags lie behind what it knows of, so its route must be signed to be taken.
  postern_str secrets[] = {str("secret")};
  postern_scheme_desc scheme{};
  scheme.struct_size = offsetof(postern_scheme_desc, timestamp_unit);
  scheme.algorithm = POSTERN_HMAC_SHA256;
  scheme.name = str("s");
  scheme.header = str("x-signature");
  scheme.signature_encoding = POSTERN_ENCODING_HEX;
  scheme.secret_encoding = POSTERN_SECRET_RAW;
  scheme.timestamp_unit = 99;
  // An older scheme has no secrets to give and must be refused, whatever lies behind it in memory.
  scheme.secrets = secrets;
  scheme.secrets_len = 1;
  if (extension<postern_ext_schemes>(self, POSTERN_EXT_SCHEMES).add(self->host, &scheme) != POSTERN_E_INVALID) return POSTERN_E_INTERNAL;
  scheme.struct_size = sizeof scheme;
  scheme.timestamp_unit = 0;
  if (extension<postern_ext_schemes>(self, POSTERN_EXT_SCHEMES).add(self->host, &scheme) != POSTERN_OK) return POSTERN_E_INTERNAL;
  postern_route_scheme uses[] = {{str("s"), str("json:/id")}};
  route.known.schemes = uses;
  route.known.schemes_len = 1;
#endif
  return routes.add(self->host, &route.known);
}

struct Plugin {
  postern_plugin known;
  void (*unknown[8])();
};

[[noreturn]] void never() { __builtin_trap(); }
// The host must not take what lies behind an older struct for a member of its own.
const void* garbage(postern_instance*, postern_str) { __builtin_trap(); }

constexpr Plugin make_plugin() {
  Plugin plugin{plugin_of(Hooks{.init = init}), {never, never, never, never, never, never, never, never}};
  plugin.known.struct_size = kPluginSize;
  plugin.known.get_extension = garbage;
  return plugin;
}
constexpr Plugin kPlugin = make_plugin();

postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin, postern_instance** instance) {
  *instance = new postern_instance{api, host, false};
  *plugin = &kPlugin.known;
  return POSTERN_OK;
}

struct Entry {
  postern_plugin_entry known;
  void (*unknown[8])();
};
constexpr Entry make_entry() {
  Entry entry{entry_of(create), {never, never, never, never, never, never, never, never}};
#ifndef OLDER
  entry.known.struct_size = sizeof(Entry);
  entry.known.abi_minor = POSTERN_ABI_MINOR + 9;
#endif
  return entry;
}
constexpr Entry kEntry = make_entry();

}  // namespace

extern "C" POSTERN_EXPORT constexpr postern_plugin_entry postern_entry = kEntry.known;
