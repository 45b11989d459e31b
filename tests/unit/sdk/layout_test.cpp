// Golden layouts of the ABI: sizes, offsets, signatures and values, for LP64 (x86-64, aarch64). A released number here
// never changes; a SIZED struct may get new lines at its end. Everything is checked by the compiler.
#include <gtest/gtest.h>

#include "postern/abi.h"
#include "postern/ext/client.h"
#include "postern/ext/events.h"
#include "postern/ext/health.h"
#include "postern/ext/http.h"
#include "postern/ext/log.h"
#include "postern/ext/metrics.h"
#include "postern/ext/records.h"
#include "postern/ext/routes.h"
#include "postern/ext/schemes.h"
#include "postern/ext/timers.h"
#include "postern/ext/services.h"
#include "tests/unit/sdk/layout.h"

#if defined(__x86_64__) || defined(__aarch64__)

// NOLINTBEGIN: one line a fact

SIZE(postern_str, 16);
AT(postern_str, ptr, 0);
AT(postern_str, len, 8);

SIZE(postern_host_api, 80);
AT(postern_host_api, struct_size, 0);
AT(postern_host_api, abi_major, 4);
AT(postern_host_api, abi_minor, 8);
AT(postern_host_api, reserved, 12);
AT(postern_host_api, name, 16);
AT(postern_host_api, version, 32);
AT(postern_host_api, get_extension, 48);
AT(postern_host_api, set_error, 56);
AT(postern_host_api, config_fault, 64);
AT(postern_host_api, plugin_name, 72);
IS(postern_host_api, get_extension, const void* (*)(postern_host*, postern_str));
IS(postern_host_api, set_error, void (*)(postern_host*, postern_str));
IS(postern_host_api, config_fault, void (*)(postern_host*, postern_str, postern_str));
IS(postern_host_api, plugin_name, postern_str (*)(postern_host*));

SIZE(postern_plugin, 48);
AT(postern_plugin, struct_size, 0);
AT(postern_plugin, reserved, 4);
AT(postern_plugin, init, 8);
AT(postern_plugin, activate, 16);
AT(postern_plugin, deactivate, 24);
AT(postern_plugin, destroy, 32);
AT(postern_plugin, get_extension, 40);
IS(postern_plugin, init, postern_status (*)(postern_instance*, postern_str));
IS(postern_plugin, activate, postern_status (*)(postern_instance*));
IS(postern_plugin, deactivate, void (*)(postern_instance*, uint32_t));
IS(postern_plugin, destroy, void (*)(postern_instance*));
IS(postern_plugin, get_extension, const void* (*)(postern_instance*, postern_str));

SIZE(postern_plugin_entry, 88);
AT(postern_plugin_entry, struct_size, 0);
AT(postern_plugin_entry, abi_major, 4);
AT(postern_plugin_entry, abi_minor, 8);
AT(postern_plugin_entry, flags, 12);
AT(postern_plugin_entry, id, 16);
AT(postern_plugin_entry, version, 32);
AT(postern_plugin_entry, build_id, 48);
AT(postern_plugin_entry, requires_ext, 64);
AT(postern_plugin_entry, requires_len, 72);
AT(postern_plugin_entry, create, 80);
IS(postern_plugin_entry, create,
   postern_status (*)(const postern_host_api*, postern_host*, const postern_plugin**, postern_instance**));

SIZE(postern_scheme_desc, 152);
AT(postern_scheme_desc, struct_size, 0);
AT(postern_scheme_desc, algorithm, 4);
AT(postern_scheme_desc, name, 8);
AT(postern_scheme_desc, header, 24);
AT(postern_scheme_desc, format, 40);
AT(postern_scheme_desc, separator, 56);
AT(postern_scheme_desc, timestamp_header, 72);
AT(postern_scheme_desc, id_header, 88);
AT(postern_scheme_desc, signed_bytes, 104);
AT(postern_scheme_desc, signature_encoding, 120);
AT(postern_scheme_desc, secret_encoding, 124);
AT(postern_scheme_desc, timestamp_unit, 128);
AT(postern_scheme_desc, tolerance_s, 132);
AT(postern_scheme_desc, secrets, 136);
AT(postern_scheme_desc, secrets_len, 144);

SIZE(postern_scheme_functions, 80);
AT(postern_scheme_functions, struct_size, 0);
AT(postern_scheme_functions, reserved, 4);
AT(postern_scheme_functions, name, 8);
AT(postern_scheme_functions, header, 24);
AT(postern_scheme_functions, secrets, 40);
AT(postern_scheme_functions, secrets_len, 48);
AT(postern_scheme_functions, verify, 56);
AT(postern_scheme_functions, sign, 64);
AT(postern_scheme_functions, user, 72);
IS(postern_scheme_functions, verify,
   postern_status (*)(postern_instance*, void*, const postern_request*, int64_t, const postern_str*, size_t, postern_explain*));
IS(postern_scheme_functions, sign,
   postern_status (*)(postern_instance*, void*, const postern_request*, int64_t, postern_str, postern_signing*));

SIZE(postern_ext_schemes, 32);
AT(postern_ext_schemes, add, 0);
AT(postern_ext_schemes, add_functions, 8);
AT(postern_ext_schemes, explain, 16);
AT(postern_ext_schemes, add_header, 24);
IS(postern_ext_schemes, add, postern_status (*)(postern_host*, const postern_scheme_desc*));
IS(postern_ext_schemes, add_functions, postern_status (*)(postern_host*, const postern_scheme_functions*));
IS(postern_ext_schemes, explain, void (*)(postern_explain*, postern_str));
IS(postern_ext_schemes, add_header, postern_status (*)(postern_signing*, postern_str, postern_str));

SIZE(postern_route_scheme, 32);
AT(postern_route_scheme, scheme, 0);
AT(postern_route_scheme, id_from, 16);

SIZE(postern_route_desc, 200);
AT(postern_route_desc, struct_size, 0);
AT(postern_route_desc, kind, 4);
AT(postern_route_desc, method, 8);
AT(postern_route_desc, path, 24);
AT(postern_route_desc, schemes, 40);
AT(postern_route_desc, schemes_len, 48);
AT(postern_route_desc, content_types, 56);
AT(postern_route_desc, type_from, 72);
AT(postern_route_desc, order_key_from, 88);
AT(postern_route_desc, required, 104);
AT(postern_route_desc, unsigned_id_from, 120);
AT(postern_route_desc, max_body, 136);
AT(postern_route_desc, wait_ms, 144);
AT(postern_route_desc, flags, 148);
AT(postern_route_desc, deadline_ms, 152);
AT(postern_route_desc, reserved, 156);
AT(postern_route_desc, reply, 160);
AT(postern_route_desc, user, 168);
AT(postern_route_desc, content_from, 176);
AT(postern_route_desc, dedupe_window_ms, 192);
IS(postern_route_desc, reply, postern_reply_handler);

SIZE(postern_sample_desc, 104);
AT(postern_sample_desc, struct_size, 0);
AT(postern_sample_desc, reserved, 4);
AT(postern_sample_desc, name, 8);
AT(postern_sample_desc, method, 24);
AT(postern_sample_desc, target, 40);
AT(postern_sample_desc, content_type, 56);
AT(postern_sample_desc, body, 72);
AT(postern_sample_desc, headers, 88);
AT(postern_sample_desc, headers_len, 96);

SIZE(postern_ext_routes, 16);
AT(postern_ext_routes, add, 0);
AT(postern_ext_routes, add_sample, 8);
IS(postern_ext_routes, add, postern_status (*)(postern_host*, const postern_route_desc*));
IS(postern_ext_routes, add_sample, postern_status (*)(postern_host*, const postern_sample_desc*));

SIZE(postern_ext_records, 32);
AT(postern_ext_records, get, 0);
AT(postern_ext_records, put, 8);
AT(postern_ext_records, remove, 16);
AT(postern_ext_records, list, 24);
IS(postern_ext_records, get, postern_status (*)(postern_delivery*, postern_str, postern_str, postern_str*, uint64_t*));
IS(postern_ext_records, put, postern_status (*)(postern_delivery*, postern_str, postern_str, postern_str, uint64_t));
IS(postern_ext_records, remove, postern_status (*)(postern_delivery*, postern_str, postern_str, uint64_t));
IS(postern_ext_records, list,
   postern_status (*)(postern_delivery*, postern_str, postern_str, postern_str, uint32_t, postern_record_visitor, void*));

SIZE(postern_ext_http, 104);
AT(postern_ext_http, method, 0);
AT(postern_ext_http, target, 8);
AT(postern_ext_http, body, 16);
AT(postern_ext_http, remote, 24);
AT(postern_ext_http, header, 32);
AT(postern_ext_http, path_parameter, 40);
AT(postern_ext_http, form_parameter, 48);
AT(postern_ext_http, url, 56);
AT(postern_ext_http, public_url, 64);
AT(postern_ext_http, trusts_proxies, 72);
AT(postern_ext_http, send, 80);
AT(postern_ext_http, detach, 88);
AT(postern_ext_http, drop, 96);
IS(postern_ext_http, method, postern_str (*)(const postern_request*));
IS(postern_ext_http, target, postern_str (*)(const postern_request*));
IS(postern_ext_http, body, postern_str (*)(const postern_request*));
IS(postern_ext_http, remote, postern_str (*)(const postern_request*));
IS(postern_ext_http, header, postern_status (*)(const postern_request*, postern_str, size_t, postern_str*));
IS(postern_ext_http, path_parameter, postern_status (*)(const postern_request*, postern_str, postern_str*));
IS(postern_ext_http, form_parameter, postern_status (*)(const postern_request*, size_t, postern_str*, postern_str*));
IS(postern_ext_http, url, postern_status (*)(const postern_request*, size_t, postern_str*));
IS(postern_ext_http, public_url, postern_str (*)(postern_host*));
IS(postern_ext_http, trusts_proxies, uint32_t (*)(postern_host*));
IS(postern_ext_http, send, postern_status (*)(postern_reply*, uint32_t, const postern_str*, size_t, postern_str));
IS(postern_ext_http, detach, postern_status (*)(postern_reply*));
IS(postern_ext_http, drop, void (*)(postern_reply*));

SIZE(postern_ext_log, 8);
AT(postern_ext_log, write, 0);
IS(postern_ext_log, write, void (*)(postern_host*, uint32_t, postern_str));

SIZE(postern_ext_health, 16);
AT(postern_ext_health, add, 0);
AT(postern_ext_health, report, 8);
IS(postern_ext_health, add, postern_status (*)(postern_host*, postern_str, uint32_t, postern_health_check, void*));
IS(postern_ext_health, report, postern_status (*)(postern_health_report*, uint32_t, postern_str, postern_str));

SIZE(postern_metric_desc, 88);
AT(postern_metric_desc, struct_size, 0);
AT(postern_metric_desc, kind, 4);
AT(postern_metric_desc, name, 8);
AT(postern_metric_desc, help, 24);
AT(postern_metric_desc, labels, 40);
AT(postern_metric_desc, labels_len, 48);
AT(postern_metric_desc, values, 56);
AT(postern_metric_desc, series_len, 64);
AT(postern_metric_desc, buckets, 72);
AT(postern_metric_desc, buckets_len, 80);

SIZE(postern_ext_metrics, 40);
AT(postern_ext_metrics, add, 0);
AT(postern_ext_metrics, count, 8);
AT(postern_ext_metrics, set, 16);
AT(postern_ext_metrics, change, 24);
AT(postern_ext_metrics, observe, 32);
IS(postern_ext_metrics, add, postern_status (*)(postern_host*, const postern_metric_desc*, postern_metric**));
IS(postern_ext_metrics, count, postern_status (*)(postern_metric*, size_t, uint64_t));
IS(postern_ext_metrics, set, postern_status (*)(postern_metric*, size_t, double));
IS(postern_ext_metrics, change, postern_status (*)(postern_metric*, size_t, double));
IS(postern_ext_metrics, observe, postern_status (*)(postern_metric*, size_t, double));

SIZE(postern_timer_desc, 80);
AT(postern_timer_desc, struct_size, 0);
AT(postern_timer_desc, flags, 4);
AT(postern_timer_desc, name, 8);
AT(postern_timer_desc, type, 24);
AT(postern_timer_desc, body, 40);
AT(postern_timer_desc, order_key, 56);
AT(postern_timer_desc, delay_ms, 72);
VALUE(POSTERN_TIMER_UNORDERED, 1);

SIZE(postern_ext_timers, 40);
AT(postern_ext_timers, declare, 0);
AT(postern_ext_timers, set, 8);
AT(postern_ext_timers, remove, 16);
AT(postern_ext_timers, start, 24);
AT(postern_ext_timers, cancel, 32);
IS(postern_ext_timers, declare, postern_status (*)(postern_host*, postern_str));
IS(postern_ext_timers, set, postern_status (*)(postern_host*, postern_delivery*, const postern_timer_desc*));
IS(postern_ext_timers, remove, postern_status (*)(postern_delivery*, postern_str));
IS(postern_ext_timers, start, postern_status (*)(postern_host*, int64_t, postern_timer_callback, void*, uint64_t*));
IS(postern_ext_timers, cancel, postern_status (*)(postern_host*, uint64_t));
static_assert(std::is_same_v<postern_timer_callback, postern_status (*)(postern_instance*, void*)>);

static_assert(std::is_same_v<postern_reply_handler,
                             postern_status (*)(postern_instance*, void*, const postern_request*, postern_reply*)>);
static_assert(
    std::is_same_v<postern_health_check, postern_status (*)(postern_instance*, void*, postern_health_report*)>);
static_assert(std::is_same_v<postern_status, int32_t>);

VALUE(POSTERN_OK, 0);
VALUE(POSTERN_PENDING, 1);
VALUE(POSTERN_RETRY, 2);
VALUE(POSTERN_DEAD, 3);
VALUE(POSTERN_POSTPONE, 4);
SIZE(postern_upstream_desc, 128);
AT(postern_upstream_desc, struct_size, 0);
AT(postern_upstream_desc, flags, 4);
AT(postern_upstream_desc, name, 8);
AT(postern_upstream_desc, base_url, 24);
AT(postern_upstream_desc, allow_hosts, 40);
AT(postern_upstream_desc, ca_file, 56);
AT(postern_upstream_desc, attempts, 72);
AT(postern_upstream_desc, retry_base_ms, 76);
AT(postern_upstream_desc, retry_cap_ms, 80);
AT(postern_upstream_desc, breaker_failures, 84);
AT(postern_upstream_desc, breaker_open_ms, 88);
AT(postern_upstream_desc, connect_ms, 92);
AT(postern_upstream_desc, attempt_ms, 96);
AT(postern_upstream_desc, deadline_ms, 100);
AT(postern_upstream_desc, max_in_flight, 104);
AT(postern_upstream_desc, max_waiting, 108);
AT(postern_upstream_desc, max_redirects, 112);
AT(postern_upstream_desc, reserved, 116);
AT(postern_upstream_desc, max_response, 120);

SIZE(postern_client_request, 104);
AT(postern_client_request, struct_size, 0);
AT(postern_client_request, upstream, 4);
AT(postern_client_request, method, 8);
AT(postern_client_request, url, 24);
AT(postern_client_request, headers, 40);
AT(postern_client_request, headers_len, 48);
AT(postern_client_request, body, 56);
AT(postern_client_request, idempotency_key, 72);
AT(postern_client_request, delivery, 88);
AT(postern_client_request, deadline_ms, 96);
AT(postern_client_request, reserved, 100);

SIZE(postern_ext_client, 104);
AT(postern_ext_client, add_upstream, 0);
AT(postern_ext_client, call, 8);
AT(postern_ext_client, send, 16);
AT(postern_ext_client, cancel, 24);
AT(postern_ext_client, verdict, 32);
AT(postern_ext_client, kind, 40);
AT(postern_ext_client, status, 48);
AT(postern_ext_client, header, 56);
AT(postern_ext_client, header_at, 64);
AT(postern_ext_client, body, 72);
AT(postern_ext_client, error, 80);
AT(postern_ext_client, attempts, 88);
AT(postern_ext_client, retry_after_ms, 96);
IS(postern_ext_client, add_upstream, postern_status (*)(postern_host*, const postern_upstream_desc*, uint32_t*));
IS(postern_ext_client, call, postern_status (*)(postern_host*, const postern_client_request*, postern_client_callback, void*));
IS(postern_ext_client, send, postern_status (*)(postern_host*, const postern_client_request*, postern_client_callback, void*, uint64_t*));
IS(postern_ext_client, cancel, void (*)(postern_host*, uint64_t));
VALUE(POSTERN_UPSTREAM_ANY_HOST, 1);
VALUE(POSTERN_UPSTREAM_ALLOW_HTTP, 2);

SIZE(postern_service_request, 56);
AT(postern_service_request, struct_size, 0);
AT(postern_service_request, service, 4);
AT(postern_service_request, method, 8);
AT(postern_service_request, body, 24);
AT(postern_service_request, delivery, 40);
AT(postern_service_request, deadline_ms, 48);
AT(postern_service_request, reserved, 52);

SIZE(postern_service_answer, 48);
AT(postern_service_answer, struct_size, 0);
AT(postern_service_answer, status, 4);
AT(postern_service_answer, body, 8);
AT(postern_service_answer, error, 24);
AT(postern_service_answer, retry_after_ms, 40);

SIZE(postern_ext_services, 80);
AT(postern_ext_services, publish, 0);
AT(postern_ext_services, acquire, 8);
AT(postern_ext_services, available, 16);
AT(postern_ext_services, call, 24);
AT(postern_ext_services, method, 32);
AT(postern_ext_services, request, 40);
AT(postern_ext_services, caller, 48);
AT(postern_ext_services, remaining_ms, 56);
AT(postern_ext_services, answer, 64);
AT(postern_ext_services, retry_after, 72);
static_assert(std::is_same_v<postern_service_function, postern_status (*)(postern_instance*, void*, postern_service_call*)>);
static_assert(std::is_same_v<postern_service_callback, void (*)(postern_instance*, void*, const postern_service_answer*)>);
IS(postern_ext_services, publish, postern_status (*)(postern_host*, postern_str, postern_service_function, void*));
IS(postern_ext_services, acquire, postern_status (*)(postern_host*, postern_str, uint32_t, uint32_t*));
IS(postern_ext_services, available, int32_t (*)(postern_host*, uint32_t));
IS(postern_ext_services, call, postern_status (*)(postern_host*, const postern_service_request*, postern_service_callback, void*));
IS(postern_ext_services, remaining_ms, uint64_t (*)(const postern_service_call*));
IS(postern_ext_services, answer, postern_status (*)(postern_service_call*, postern_str));
IS(postern_ext_services, retry_after, postern_status (*)(postern_service_call*, uint64_t));
VALUE(POSTERN_SERVICE_OPTIONAL, 1);
VALUE(POSTERN_SERVICE_MAX_BYTES, 1048576);
VALUE(POSTERN_SERVICE_MAX_DEPTH, 8);
VALUE(POSTERN_RESPONSE_OK, 0);
VALUE(POSTERN_RESPONSE_REJECTED, 1);
VALUE(POSTERN_RESPONSE_FAILED, 2);
VALUE(POSTERN_RESPONSE_CONNECT, 3);
VALUE(POSTERN_RESPONSE_TIMEOUT, 4);
VALUE(POSTERN_RESPONSE_BROKEN, 5);
VALUE(POSTERN_RESPONSE_TOO_LARGE, 6);
VALUE(POSTERN_RESPONSE_REFUSED, 7);
VALUE(POSTERN_RESPONSE_BREAKER_OPEN, 8);
VALUE(POSTERN_RESPONSE_BUSY, 9);
VALUE(POSTERN_RESPONSE_CANCELLED, 10);

VALUE(POSTERN_E_INVALID, -1);
VALUE(POSTERN_E_UNSUPPORTED, -2);
VALUE(POSTERN_E_STATE, -3);
VALUE(POSTERN_E_TIMEOUT, -4);
VALUE(POSTERN_E_LIMIT, -5);
VALUE(POSTERN_E_GONE, -6);
VALUE(POSTERN_E_DENIED, -7);
VALUE(POSTERN_E_INTERNAL, -8);
VALUE(POSTERN_E_NOT_FOUND, -9);
VALUE(POSTERN_HMAC_SHA1, 1);
VALUE(POSTERN_HMAC_SHA256, 2);
VALUE(POSTERN_HMAC_SHA512, 3);
VALUE(POSTERN_ENCODING_HEX, 1);
VALUE(POSTERN_ENCODING_BASE64, 2);
VALUE(POSTERN_SECRET_RAW, 1);
VALUE(POSTERN_SECRET_BASE64, 2);
VALUE(POSTERN_SECRET_WHSEC, 3);
VALUE(POSTERN_TIME_SECONDS, 1);
VALUE(POSTERN_TIME_MILLISECONDS, 2);
VALUE(POSTERN_ROUTE_EVENT, 1);
VALUE(POSTERN_ROUTE_REPLY, 2);
VALUE(POSTERN_ROUTE_UNSIGNED, 1);
VALUE(POSTERN_ROUTE_UNORDERED, 2);
VALUE(POSTERN_ROUTE_RECORDED, 4);
VALUE(POSTERN_LOG_DEBUG, 1);
VALUE(POSTERN_LOG_INFO, 2);
VALUE(POSTERN_LOG_WARN, 3);
VALUE(POSTERN_LOG_ERROR, 4);
VALUE(POSTERN_HEALTHY, 1);
VALUE(POSTERN_CONFIGURED, 2);
VALUE(POSTERN_DEGRADED, 3);
VALUE(POSTERN_UNHEALTHY, 4);
VALUE(POSTERN_METRIC_COUNTER, 1);
VALUE(POSTERN_METRIC_GAUGE, 2);
VALUE(POSTERN_METRIC_HISTOGRAM, 3);
VALUE(POSTERN_ABI_MAJOR, 1);
VALUE(POSTERN_ABI_MINOR, 0);
VALUE(POSTERN_RECORD_ABSENT, 0);
static_assert(POSTERN_RECORD_ANY == UINT64_MAX);
// NOLINTEND

#endif

// The ids are part of the ABI as well; texts, so they are compared here.
TEST(AbiLayout, ExtensionIds) {
  EXPECT_STREQ(POSTERN_EXT_SCHEMES, "postern.schemes/1");
  EXPECT_STREQ(POSTERN_EXT_ROUTES, "postern.routes/1");
  EXPECT_STREQ(POSTERN_EXT_EVENTS, "postern.events/1");
  EXPECT_STREQ(POSTERN_EXT_RECORDS, "postern.records/1");
  EXPECT_STREQ(POSTERN_EXT_HTTP, "postern.http/1");
  EXPECT_STREQ(POSTERN_EXT_LOG, "postern.log/1");
  EXPECT_STREQ(POSTERN_EXT_HEALTH, "postern.health/1");
  EXPECT_STREQ(POSTERN_EXT_METRICS, "postern.metrics/1");
  EXPECT_STREQ(POSTERN_EXT_CLIENT, "postern.client/1");
  EXPECT_STREQ(POSTERN_EXT_TIMERS, "postern.timers/1");
  EXPECT_STREQ(POSTERN_EXT_SERVICES, "postern.services/1");
}
