// Misbehaves after init: in activate, deactivate or destroy, or by registering when that is over. The configuration chooses.
#include "module.h"

#include <stdexcept>

namespace {

enum class Way { kWell, kFails, kThrows, kThrowsInDeactivate, kRegisters };
Way way;  // the tests make one instance at a time

postern_status handler(postern_instance*, void*, postern_delivery*) { return POSTERN_OK; }
postern_status check(postern_instance*, void*, postern_health_report*) { return POSTERN_OK; }

postern_status init(postern_instance* self, postern_str config) {
  way = Way::kWell;
  if (is_case(config, "fails")) way = Way::kFails;
  if (is_case(config, "throws")) way = Way::kThrows;
  if (is_case(config, "throws_in_deactivate")) way = Way::kThrowsInDeactivate;
  if (is_case(config, "registers")) way = Way::kRegisters;
  self->throws_in_destroy = is_case(config, "throws_in_destroy");
  return POSTERN_OK;
}

// Every registration, each of which must be refused now.
postern_status register_late(postern_instance* self) {
  const auto& routes = extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES);
  const auto& events = extension<postern_ext_events>(self, POSTERN_EXT_EVENTS);
  postern_route_desc route = unsigned_route("/late");
  postern_sample_desc sample{};
  sample.struct_size = sizeof sample;
  postern_scheme_desc scheme{};
  scheme.struct_size = sizeof scheme;
  const postern_status answers[] = {
      routes.add(self->host, &route),
      routes.add_sample(self->host, &sample),
      extension<postern_ext_schemes>(self, POSTERN_EXT_SCHEMES).add(self->host, &scheme),
      events.on(self->host, str("*"), handler, nullptr),
      events.on_subscription(self->host, handler, nullptr),
      extension<postern_ext_health>(self, POSTERN_EXT_HEALTH).add(self->host, str("late"), 0, check, nullptr),
  };
  self->api->config_fault(self->host, str("/late"), str("too late"));
  for (postern_status answer : answers) {
    if (answer != POSTERN_E_STATE) return POSTERN_OK;  // taken: the test expects a failure
  }
  self->api->set_error(self->host, str("all refused"));
  return POSTERN_E_STATE;
}

postern_status activate(postern_instance* self) {
  if (way == Way::kThrows) throw std::runtime_error("the port is taken");
  if (way == Way::kRegisters) return register_late(self);
  if (way != Way::kFails) return POSTERN_OK;
  self->api->set_error(self->host, str("the upstream does not answer"));
  return POSTERN_E_TIMEOUT;
}

void deactivate(postern_instance*, uint32_t) {
  if (way == Way::kThrowsInDeactivate) throw std::runtime_error("cannot stop");
}

void destroy(postern_instance* self) {
  bool throws = self->throws_in_destroy;
  say(self, "destroyed");
  delete self;
  if (throws) throw std::runtime_error("cannot go");
}

}  // namespace

ABI_MODULE(.init = init, .activate = activate, .deactivate = deactivate, .destroy = destroy)
