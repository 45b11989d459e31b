/* The headers are C11: this file is compiled as that, pedantically. It includes all of them and is a plugin in plain C. */
#include <string.h>

#include "postern/abi.h"
#include "postern/ext/client.h"
#include "postern/ext/events.h"
#include "postern/ext/health.h"
#include "postern/ext/http.h"
#include "postern/ext/log.h"
#include "postern/ext/metrics.h"
#include "postern/ext/records.h"
#include "postern/ext/reports.h"
#include "postern/ext/routes.h"
#include "postern/ext/schemes.h"
#include "postern/ext/timers.h"
#include "postern/ext/services.h"
#include "postern/ext/websocket.h"

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
  postern_metric* seen; /* NULL where the host has no metrics */
};

static struct postern_instance the_instance;

static const postern_ext_metrics* metrics_of(postern_instance* self) {
  return self->api->get_extension(self->host, str("postern.metrics/1", 17));
}

static postern_status on_event(postern_instance* self, void* user, postern_delivery* delivery) {
  const postern_ext_records* records = self->api->get_extension(self->host, str("postern.records/1", 17));
  (void)user;
  if (self->seen != NULL) metrics_of(self)->count(self->seen, 0, 1);
  return records->put(delivery, str("seen", 4), str("last", 4), str("{}", 2), POSTERN_RECORD_ANY);
}

static const postern_ext_http* http_of(postern_instance* self) {
  return self->api->get_extension(self->host, str("postern.http/1", 14));
}

/* Answers with the URL of the request; "/c/later" by a detached reply. */
static postern_status on_request(postern_instance* self, void* user, const postern_request* request, postern_reply* reply) {
  const postern_ext_http* http = http_of(self);
  const postern_str headers[2] = {str("Content-Type", 12), str("text/plain", 10)};
  postern_str word, url;
  int later;
  (void)user;
  if (http->path_parameter(request, str("word", 4), &word) != POSTERN_OK) return POSTERN_E_INTERNAL;
  if (http->url(request, 0, &url) != POSTERN_OK) return POSTERN_E_NOT_FOUND;
  later = word.len == 5 && memcmp(word.ptr, "later", 5) == 0;
  if (later && http->detach(reply) != POSTERN_OK) return POSTERN_E_LIMIT;
  if (http->send(reply, 200, headers, 2, url) != POSTERN_OK && later) http->drop(reply);
  return later ? POSTERN_PENDING : POSTERN_OK;
}

/* The signature is the secret itself, which needs no library. */
static postern_status verify(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                             const postern_str* secrets, size_t secrets_len, postern_explain* explain) {
  const postern_ext_schemes* schemes = user;
  postern_str given;
  unsigned char difference = 0;
  size_t i;
  (void)now_ms;
  if (secrets_len == 0) return POSTERN_E_INVALID;
  if (http_of(self)->header(request, str("x-c", 3), 0, &given) != POSTERN_OK) return POSTERN_E_DENIED;
  schemes->explain(explain, str("compared the key", 16));
  if (given.len != secrets[0].len) return POSTERN_E_DENIED;
  for (i = 0; i < given.len; ++i) difference |= (unsigned char)(given.ptr[i] ^ secrets[0].ptr[i]);
  return difference == 0 ? POSTERN_OK : POSTERN_E_DENIED;
}

static postern_status sign(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                           postern_str secret, postern_signing* signing) {
  const postern_ext_schemes* schemes = user;
  (void)self;
  (void)request;
  (void)now_ms;
  return schemes->add_header(signing, str("x-c", 3), secret);
}

/* The service "c/1" answers with what it was asked. */
static postern_status serve(postern_instance* self, void* user, postern_service_call* call) {
  const postern_ext_services* services = self->api->get_extension(self->host, str("postern.services/1", 18));
  (void)user;
  return services->answer(call, services->request(call));
}

static postern_status add_service(postern_instance* self) {
  const postern_ext_services* services = self->api->get_extension(self->host, str("postern.services/1", 18));
  return services == NULL ? POSTERN_OK : services->publish(self->host, str("c/1", 3), &serve, NULL);
}

static postern_status add_scheme_and_route(postern_instance* self) {
  const postern_ext_schemes* schemes = self->api->get_extension(self->host, str("postern.schemes/1", 17));
  const postern_ext_routes* routes = self->api->get_extension(self->host, str("postern.routes/1", 16));
  const postern_str secret = str("a key of C", 10);
  const postern_route_scheme use = {{"c", 1}, {"form:id|header:x-id", 19}};
  postern_scheme_functions scheme = {.struct_size = sizeof(scheme), .secrets = &secret, .secrets_len = 1};
  postern_route_desc route = {.struct_size = sizeof(route), .kind = POSTERN_ROUTE_REPLY, .schemes = &use, .schemes_len = 1};
  postern_status status;
  if (schemes == NULL || routes == NULL) return POSTERN_E_UNSUPPORTED;
  scheme.name = str("c", 1);
  scheme.header = str("x-c", 3);
  scheme.verify = &verify;
  scheme.sign = &sign;
  scheme.user = (void*)schemes;
  status = schemes->add_functions(self->host, &scheme);
  if (status != POSTERN_OK) return status;
  route.method = str("POST", 4);
  route.path = str("/c/{word}", 9);
  route.flags = POSTERN_ROUTE_RECORDED;
  route.deadline_ms = 2000;
  route.reply = &on_request;
  return routes->add(self->host, &route);
}

static postern_status init(postern_instance* self, postern_str config_json) {
  const postern_ext_events* events = self->api->get_extension(self->host, str("postern.events/1", 16));
  postern_status status;
  (void)config_json;
  if (events == NULL) return POSTERN_E_UNSUPPORTED;
  self->seen = NULL;
  if (metrics_of(self) != NULL) {
    postern_metric_desc seen;
    memset(&seen, 0, sizeof seen);
    seen.struct_size = sizeof seen;
    seen.kind = POSTERN_METRIC_COUNTER;
    seen.name = str("seen_total", 10);
    seen.help = str("Events that came.", 17);
    status = metrics_of(self)->add(self->host, &seen, &self->seen);
    if (status != POSTERN_OK) return status;
  }
  status = events->on(self->host, str("*", 1), &on_event, NULL);
  if (status == POSTERN_OK) status = add_service(self);
  return status == POSTERN_OK ? add_scheme_and_route(self) : status;
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
