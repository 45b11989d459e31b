// A plugin that behaves: the measure for the others, and what the damaged copies are made of. Its route is named by its
// configuration, {"path": "/a"}, so that two instances can live beside each other; each says with its own voice which it is.
#include "module.h"

namespace {

std::string_view path_of(postern_str config_json) {
  std::string_view json = view(config_json);
  size_t begin = json.find('/');
  return begin == std::string_view::npos ? "/good" : json.substr(begin, json.find('"', begin) - begin);
}

postern_status handle(postern_instance* self, void* user, postern_delivery* delivery) {
  const auto& events = extension<postern_ext_events>(self, POSTERN_EXT_EVENTS);
  return user == self ? events.set_result(delivery, str("{\"own\":true}")) : POSTERN_E_INTERNAL;
}

postern_status init(postern_instance* self, postern_str config_json) {
  postern_route_desc route = unsigned_route(path_of(config_json));
  postern_status added = extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES).add(self->host, &route);
  if (added < 0) return added;
  return extension<postern_ext_events>(self, POSTERN_EXT_EVENTS).on(self->host, str("*"), handle, self);
}

}  // namespace

ABI_MODULE(.init = init)
