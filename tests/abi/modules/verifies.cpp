// Scheme functions that misbehave, one scheme for each way, all with the header x-signature; each has a route /verify/NAME.
//
// {"foreign": "PLUGIN:SCHEME"}: nothing but a route /foreign with that scheme.
//
// "hangs" waits until the descriptor that the header x-gate names can be read: the test holds the other end.
#include <poll.h>

#include <stdexcept>
#include <string>

#include "module.h"

namespace {

const postern_ext_schemes& schemes_of(postern_instance* self) {
  return extension<postern_ext_schemes>(self, POSTERN_EXT_SCHEMES);
}

using Verify = decltype(postern_scheme_functions::verify);
using Sign = decltype(postern_scheme_functions::sign);

template <postern_status kStatus>
postern_status returns(postern_instance*, void*, const postern_request*, int64_t, const postern_str*, size_t, postern_explain*) {
  return kStatus;
}

postern_status throws(postern_instance*, void*, const postern_request*, int64_t, const postern_str*, size_t, postern_explain*) {
  throw std::runtime_error("index 7 of 3");
}
postern_status throws_int(postern_instance*, void*, const postern_request*, int64_t, const postern_str*, size_t,
                          postern_explain*) {
  throw 7;
}

postern_status says_why(postern_instance* self, void*, const postern_request*, int64_t, const postern_str*, size_t,
                        postern_explain*) {
  self->api->set_error(self->host, str("no public_url"));
  return POSTERN_E_STATE;
}

// The words of an earlier call must not become those of a later one.
postern_status stale_error(postern_instance* self, void*, const postern_request*, int64_t, const postern_str*, size_t,
                           postern_explain*) {
  self->api->set_error(self->host, str("left over"));
  return POSTERN_OK;
}

postern_status talks(postern_instance* self, void*, const postern_request*, int64_t, const postern_str*, size_t,
                     postern_explain* explain) {
  const std::string line(1 << 20, 'x');
  for (int i = 0; i < 10'000; ++i) schemes_of(self).explain(explain, str(i == 0 ? line : "again"));
  schemes_of(self).explain(nullptr, str("into nothing"));
  return POSTERN_E_DENIED;
}

postern_status hangs(postern_instance* self, void*, const postern_request* request, int64_t, const postern_str*, size_t,
                     postern_explain*) {
  postern_str gate{};
  extension<postern_ext_http>(self, POSTERN_EXT_HTTP).header(request, str("x-gate"), 0, &gate);
  pollfd one{std::stoi(std::string(view(gate))), POLLIN, 0};
  ::poll(&one, 1, -1);
  return POSTERN_OK;
}

postern_status sign_throws(postern_instance*, void*, const postern_request*, int64_t, postern_str, postern_signing*) {
  throw std::runtime_error("no clock");
}

postern_status sign_splits(postern_instance* self, void*, const postern_request*, int64_t, postern_str,
                           postern_signing* signing) {
  const auto& schemes = schemes_of(self);
  std::string statuses;
  for (std::string_view name : {"", "x y", "x:y", "x\r\ny"})
    statuses += std::to_string(schemes.add_header(signing, str(name), str("1")));
  statuses += std::to_string(schemes.add_header(signing, str("x-split"), str("a\r\nx-evil: 1")));
  return schemes.add_header(signing, str("x-signature"), str(statuses));
}

constexpr struct {
  std::string_view name;
  Verify verify;
  Sign sign;
} kSchemes[] = {
    {"accepts", returns<POSTERN_OK>, sign_splits},
    {"denies", returns<POSTERN_E_DENIED>, sign_throws},
    {"throws", throws, nullptr},
    {"throws_int", throws_int, nullptr},
    {"unknown_status", returns<4711>, nullptr},
    {"unknown_failure", returns<-4711>, nullptr},
    {"pending", returns<POSTERN_PENDING>, nullptr},
    {"retry", returns<POSTERN_RETRY>, nullptr},
    {"invalid", returns<POSTERN_E_INVALID>, nullptr},
    {"says_why", says_why, nullptr},
    {"stale_error", stale_error, nullptr},
    {"talks", talks, nullptr},
    {"hangs", hangs, nullptr},
};

postern_scheme_functions desc_of(std::string_view name, Verify verify, Sign sign, const postern_str* secret) {
  postern_scheme_functions desc{};
  desc.struct_size = sizeof desc;
  desc.name = str(name);
  desc.header = str("x-signature");
  desc.secrets = secret;
  desc.secrets_len = 1;
  desc.verify = verify;
  desc.sign = sign;
  return desc;
}

// Registrations that the host refuses, with its status and no word of the module's own.
postern_status refused(postern_instance* self, postern_str config) {
  const postern_str secrets[] = {str("VERY-secret"), {nullptr, 0}};
  postern_scheme_functions desc = desc_of("s", returns<POSTERN_OK>, nullptr, secrets);
  if (is_case(config, "without_verify")) desc.verify = nullptr;
  if (is_case(config, "without_secrets")) desc.secrets_len = 0;
  if (is_case(config, "null_secrets")) desc.secrets = nullptr, desc.secrets_len = 0;
  if (is_case(config, "empty_secret")) desc.secrets_len = 2;
  if (is_case(config, "bad_header")) desc.header = str("x signature");
  if (is_case(config, "null_functions")) return schemes_of(self).add_functions(self->host, nullptr);
  if (is_case(config, "older")) desc.struct_size = offsetof(postern_scheme_functions, verify);
  postern_status first = schemes_of(self).add_functions(self->host, &desc);
  return first < 0 || !is_case(config, "twice") ? first : schemes_of(self).add_functions(self->host, &desc);
}

postern_status add_foreign(postern_instance* self, std::string_view scheme) {
  const postern_route_scheme use{str(scheme), str("json:/id")};
  postern_route_desc route = unsigned_route("/foreign");
  route.flags = 0;
  route.schemes = &use;
  route.schemes_len = 1;
  return extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES).add(self->host, &route);
}

postern_status init(postern_instance* self, postern_str config) {
  constexpr std::string_view kForeign = "{\"foreign\":\"";
  if (view(config).starts_with(kForeign)) {
    const std::string_view rest = view(config).substr(kForeign.size());
    return add_foreign(self, rest.substr(0, rest.find('"')));
  }
  if (view(config).find("case") != std::string_view::npos) return refused(self, config);
  const postern_str secret = str("VERY-secret");
  for (const auto& scheme : kSchemes) {
    const postern_scheme_functions desc = desc_of(scheme.name, scheme.verify, scheme.sign, &secret);
    if (postern_status added = schemes_of(self).add_functions(self->host, &desc); added < 0) return added;
    const std::string path = "/verify/" + std::string(scheme.name);
    const postern_route_scheme use{str(scheme.name), str("json:/id")};
    postern_route_desc route = unsigned_route(path);
    route.flags = 0;
    route.schemes = &use;
    route.schemes_len = 1;
    if (postern_status added = extension<postern_ext_routes>(self, POSTERN_EXT_ROUTES).add(self->host, &route); added < 0)
      return added;
  }
  return POSTERN_OK;
}

}  // namespace

ABI_MODULE(.init = init)
