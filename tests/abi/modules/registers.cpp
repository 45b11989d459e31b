// Registrations that the host refuses; the configuration chooses one. Init fails with the host's status and no word of its own, so
// that the operator has only the host's reason.
#include "module.h"

namespace {

postern_status scheme(postern_instance* self, std::string_view name, std::string_view secret, uint32_t algorithm = POSTERN_HMAC_SHA256,
                      uint32_t secret_encoding = POSTERN_SECRET_RAW) {
  postern_str secrets[] = {str("a-first-secret-that-is-fine"), str(secret)};
  postern_scheme_desc desc{};
  desc.struct_size = sizeof desc;
  desc.algorithm = algorithm;
  desc.name = str(name);
  desc.header = str("x-signature");
  desc.signed_bytes = str("{body}");
  desc.signature_encoding = POSTERN_ENCODING_HEX;
  desc.secret_encoding = secret_encoding;
  desc.secrets = secrets;
  desc.secrets_len = 2;
  return extension<postern_ext_schemes>(self, POSTERN_EXT_SCHEMES).add(self->host, &desc);
}

postern_status route(postern_instance* self, const postern_route_desc& desc) {
  return extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES).add(self->host, &desc);
}

postern_status route(postern_instance* self, std::string_view path, postern_str postern_route_desc::*member, std::string_view value) {
  postern_route_desc desc = unsigned_route(path);
  desc.*member = str(value);
  return route(self, desc);
}

postern_status handler(postern_instance*, void*, postern_delivery*) { return POSTERN_OK; }
postern_status check(postern_instance*, void*, postern_health_report*) { return POSTERN_OK; }

postern_status on(postern_instance* self, std::string_view glob, postern_event_handler function) {
  return extension<postern_ext_events>(self, POSTERN_EXT_EVENTS).on(self->host, str(glob), function, nullptr);
}

postern_status unknown_scheme(postern_instance* self) {
  postern_route_scheme uses[] = {{str("nobody"), str("json:/id")}};
  postern_route_desc desc = unsigned_route("/hook");
  desc.schemes = uses;
  desc.schemes_len = 1;
  return route(self, desc);
}

postern_status no_scheme(postern_instance* self) {
  postern_route_desc desc = unsigned_route("/hook");
  desc.flags = 0;
  return route(self, desc);
}

postern_status bad_id_from(postern_instance* self) {
  if (scheme(self, "s", "fine") < 0) return POSTERN_E_INTERNAL;
  postern_route_scheme uses[] = {{str("s"), str("cookie:id")}};
  postern_route_desc desc = unsigned_route("/hook");
  desc.schemes = uses;
  desc.schemes_len = 1;
  return route(self, desc);
}

postern_status kind(postern_instance* self) {
  postern_route_desc desc = unsigned_route("/hook");
  desc.kind = 77;
  return route(self, desc);
}

postern_status twice(postern_instance* self) {
  postern_status first = route(self, unsigned_route("/hook/{a}"));
  return first < 0 ? first : route(self, unsigned_route("/hook/{b}"));
}

postern_status scheme_twice(postern_instance* self) {
  postern_status first = scheme(self, "s", "fine");
  return first < 0 ? first : scheme(self, "s", "fine");
}

postern_status handler_twice(postern_instance* self) {
  postern_status first = on(self, "message.*", handler);
  return first < 0 ? first : on(self, "message.*", handler);
}

postern_status odd_headers(postern_instance* self) {
  postern_str headers[] = {str("x-name")};
  postern_sample_desc desc{};
  desc.struct_size = sizeof desc;
  desc.name = str("s");
  desc.headers = headers;
  desc.headers_len = 1;
  return extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES).add_sample(self->host, &desc);
}

postern_status health(postern_instance* self, std::string_view name, postern_health_check function) {
  return extension<postern_ext_health>(self, POSTERN_EXT_HEALTH).add(self->host, str(name), 0, function, nullptr);
}

postern_status add_metric(postern_instance* self, const postern_metric_desc* desc, postern_metric** metric) {
  return extension<postern_ext_metrics>(self, POSTERN_EXT_METRICS).add(self->host, desc, metric);
}

postern_metric_desc gauge(std::string_view name) {
  postern_metric_desc desc{};
  desc.struct_size = sizeof desc;
  desc.kind = POSTERN_METRIC_GAUGE;
  desc.name = str(name);
  desc.help = str("A level.");
  return desc;
}

postern_status add_gauge(postern_instance* self, std::string_view name) {
  postern_metric* metric = nullptr;
  postern_metric_desc desc = gauge(name);
  return add_metric(self, &desc, &metric);
}

postern_status null_metric(postern_instance* self) {
  postern_metric* metric = nullptr;
  return add_metric(self, nullptr, &metric);
}

// Where the handle would go is missing.
postern_status lost_metric(postern_instance* self) {
  postern_metric_desc desc = gauge("level");
  return add_metric(self, &desc, nullptr);
}

// A length without what it is the length of.
postern_status hollow_metric(postern_instance* self) {
  postern_metric* metric = nullptr;
  postern_metric_desc desc = gauge("level");
  desc.labels_len = 2;
  desc.series_len = 2;
  return add_metric(self, &desc, &metric);
}

// What the plugin tried first was refused and it got over that; what it fails for is something else.
postern_status gets_over_it(postern_instance* self) {
  static_cast<void>(unknown_scheme(self));
  self->api->set_error(self->host, str("the account is closed"));
  return POSTERN_E_DENIED;
}

constexpr struct {
  std::string_view name;
  postern_status (*run)(postern_instance*);
} kCases[] = {
    {"unknown_scheme", unknown_scheme},
    {"no_scheme", no_scheme},
    {"bad_id_from", bad_id_from},
    {"bad_type_from", [](postern_instance* s) { return route(s, "/hook", &postern_route_desc::type_from, "json:no-slash"); }},
    {"bad_order_key", [](postern_instance* s) { return route(s, "/hook", &postern_route_desc::order_key_from, "json:/a|"); }},
    {"bad_required", [](postern_instance* s) { return route(s, "/hook", &postern_route_desc::required, "json:/a, body:/b"); }},
    {"open_brace", [](postern_instance* s) { return route(s, unsigned_route("/hook/{open")); }},
    {"relative", [](postern_instance* s) { return route(s, unsigned_route("hook")); }},
    {"empty_path", [](postern_instance* s) { return route(s, unsigned_route("")); }},
    {"no_method", [](postern_instance* s) { return route(s, "/hook", &postern_route_desc::method, ""); }},
    {"kind", kind},
    {"twice", twice},
    {"null_route", [](postern_instance* s) { return extension<postern_ext_routes>(s, POSTERN_EXT_ROUTES).add(s->host, nullptr); }},
    {"null_scheme", [](postern_instance* s) { return extension<postern_ext_schemes>(s, POSTERN_EXT_SCHEMES).add(s->host, nullptr); }},
    {"null_sample", [](postern_instance* s) { return extension<postern_ext_routes>(s, POSTERN_EXT_ROUTES).add_sample(s->host, nullptr); }},
    {"empty_secret", [](postern_instance* s) { return scheme(s, "s", ""); }},
    {"bad_secret",
     [](postern_instance* s) { return scheme(s, "s", "n0t-base64-but-VERY-secret!", POSTERN_HMAC_SHA256, POSTERN_SECRET_BASE64); }},
    {"algorithm", [](postern_instance* s) { return scheme(s, "s", "fine", 99); }},
    {"scheme_twice", scheme_twice},
    {"handler_twice", handler_twice},
    {"null_handler", [](postern_instance* s) { return on(s, "message.*", nullptr); }},
    {"empty_glob", [](postern_instance* s) { return on(s, "", handler); }},
    {"odd_headers", odd_headers},
    {"null_check", [](postern_instance* s) { return health(s, "s", nullptr); }},
    {"unnamed_check", [](postern_instance* s) { return health(s, "", check); }},
    {"null_metric", null_metric},
    {"lost_metric", lost_metric},
    {"hollow_metric", hollow_metric},
    {"bad_metric_name", [](postern_instance* s) { return add_gauge(s, "level{x}"); }},
    {"metric_level", [](postern_instance* s) { return add_gauge(s, "level"); }},
    {"metric_b_level", [](postern_instance* s) { return add_gauge(s, "b_level"); }},
    {"gets_over_it", gets_over_it},
};

postern_status init(postern_instance* self, postern_str config) {
  for (const auto& one : kCases) {
    if (is_case(config, one.name)) return one.run(self);
  }
  return POSTERN_OK;
}

}  // namespace

ABI_MODULE(.init = init)
