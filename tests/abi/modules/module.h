// What the modules of this folder share: a plugin whose every hook behaves, until a module replaces one by its own.
//
//   ABI_MODULE(.init = my_init)
//
// They are written against the C ABI alone: what is tested here is the host, and it may not rely on the C++ wrapper's manners.
#pragma once

#include <postern/abi.h>
#include <postern/ext/events.h>
#include <postern/ext/health.h>
#include <postern/ext/http.h>
#include <postern/ext/log.h>
#include <postern/ext/metrics.h>
#include <postern/ext/records.h>
#include <postern/ext/routes.h>
#include <postern/ext/schemes.h>

#include <new>
#include <string_view>

struct postern_instance {
  const postern_host_api* api;
  postern_host* host;
  bool throws_in_destroy;
};

namespace {

constexpr postern_str str(std::string_view text) { return {text.data(), text.size()}; }
constexpr std::string_view view(postern_str text) { return {text.ptr, text.len}; }

// Each case of a module is chosen by a word in its configuration: {"case": "throws"}.
[[maybe_unused]] bool is_case(postern_str config_json, std::string_view word) {
  std::string_view json = view(config_json);
  size_t at = json.find(word);
  return at != std::string_view::npos && at > 0 && json[at - 1] == '"' && json[at + word.size()] == '"';
}

template <typename Extension>
[[maybe_unused]] const Extension& extension(postern_instance* self, std::string_view id) {
  return *static_cast<const Extension*>(self->api->get_extension(self->host, str(id)));
}

[[maybe_unused]] void say(postern_instance* self, std::string_view text) {
  extension<postern_ext_log>(self, POSTERN_EXT_LOG).write(self->host, POSTERN_LOG_ERROR, str(text));
}

[[maybe_unused]] postern_route_desc unsigned_route(std::string_view path) {
  postern_route_desc route{};
  route.struct_size = sizeof route;
  route.kind = POSTERN_ROUTE_EVENT;
  route.method = str("POST");
  route.path = str(path);
  route.type_from = str("json:/type");
  route.unsigned_id_from = str("json:/id");
  route.flags = POSTERN_ROUTE_UNSIGNED;
  return route;
}

struct Hooks {
  postern_status (*init)(postern_instance*, postern_str) = [](postern_instance*, postern_str) -> postern_status { return POSTERN_OK; };
  postern_status (*activate)(postern_instance*) = [](postern_instance*) -> postern_status { return POSTERN_OK; };
  void (*deactivate)(postern_instance*, uint32_t) = [](postern_instance*, uint32_t) {};
  void (*destroy)(postern_instance*) = [](postern_instance* self) { delete self; };
};

constexpr postern_plugin plugin_of(Hooks hooks) {
  return {sizeof(postern_plugin), 0, hooks.init, hooks.activate, hooks.deactivate, hooks.destroy, nullptr};
}

using Create = decltype(postern_plugin_entry::create);

constexpr postern_plugin_entry entry_of(Create create) {
  return {
      sizeof(postern_plugin_entry), POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR, 0, str("module"), str("1.2.3"), str("test"), nullptr, 0, create};
}

}  // namespace

#define ABI_MODULE(...)                                                                                                  \
  namespace {                                                                                                            \
  constexpr postern_plugin kPlugin = plugin_of(Hooks{__VA_ARGS__});                                                      \
  postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin,                  \
                        postern_instance** instance) {                                                                   \
    *instance = new postern_instance{api, host, false};                                                                  \
    *plugin = &kPlugin;                                                                                                  \
    return POSTERN_OK;                                                                                                   \
  }                                                                                                                      \
  }                                                                                                                      \
  extern "C" POSTERN_EXPORT constexpr postern_plugin_entry postern_entry = entry_of(create);
