/* The headers are C11: this file is compiled as that, pedantically. It includes all of them and is a plugin in plain C. */
#include "postern/abi.h"
#include "postern/ext/events.h"
#include "postern/ext/health.h"
#include "postern/ext/http.h"
#include "postern/ext/log.h"
#include "postern/ext/records.h"
#include "postern/ext/routes.h"
#include "postern/ext/schemes.h"

_Static_assert(sizeof(void*) == 8, "the golden layouts are those of LP64");
_Static_assert(POSTERN_RECORD_ANY > POSTERN_RECORD_ABSENT, "versions are unsigned");

static postern_str str(const char* text, size_t len) {
  postern_str s = {text, len};
  return s;
}

/* An entry as a plugin in C would write it; tests/unit/sdk starts it in the fake host. */
struct postern_instance {
  const postern_host_api* api;
  postern_host* host;
};

static struct postern_instance the_instance;

static postern_status on_event(postern_instance* self, void* user, postern_delivery* delivery) {
  const postern_ext_records* records = self->api->get_extension(self->host, str("postern.records/1", 17));
  (void)user;
  return records->put(delivery, str("seen", 4), str("last", 4), str("{}", 2), POSTERN_RECORD_ANY);
}

static postern_status init(postern_instance* self, postern_str config_json) {
  const postern_ext_events* events = self->api->get_extension(self->host, str("postern.events/1", 16));
  (void)config_json;
  return events == NULL ? POSTERN_E_UNSUPPORTED : events->on(self->host, str("*", 1), &on_event, NULL);
}

static postern_status activate(postern_instance* self) {
  (void)self;
  return POSTERN_OK;
}

static void deactivate(postern_instance* self, uint32_t drain_ms) {
  (void)self;
  (void)drain_ms;
}

static void destroy(postern_instance* self) { (void)self; }

static const postern_plugin plugin_table = {sizeof(postern_plugin), 0, &init, &activate, &deactivate, &destroy, NULL};

static postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin,
                             postern_instance** instance) {
  the_instance.api = api;
  the_instance.host = host;
  *plugin = &plugin_table;
  *instance = &the_instance;
  return POSTERN_OK;
}

extern const postern_plugin_entry postern_testing_c_plugin;
const postern_plugin_entry postern_testing_c_plugin = {
    sizeof(postern_plugin_entry), POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR, 0, {"c", 1}, {"1", 1}, {"", 0}, NULL, 0,
    &create};
