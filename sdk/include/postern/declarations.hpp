// postern/declarations.hpp - what a plugin declares as plain structs, for designated initialisers: schemes, routes, samples, and what a
// health check says. A member left out means the host's default. Part of plugin.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ext/health.h"
#include "ext/routes.h"
#include "ext/schemes.h"
#include "request.hpp"

namespace postern::inline sdk {

enum class Hmac : uint32_t { kSha1 = POSTERN_HMAC_SHA1, kSha256 = POSTERN_HMAC_SHA256, kSha512 = POSTERN_HMAC_SHA512 };
enum class Encoding : uint32_t { kHex = POSTERN_ENCODING_HEX, kBase64 = POSTERN_ENCODING_BASE64 };
enum class SecretEncoding : uint32_t {
  kRaw = POSTERN_SECRET_RAW,
  kBase64 = POSTERN_SECRET_BASE64,
  kWhsec = POSTERN_SECRET_WHSEC
};
enum class TimeUnit : uint32_t { kSeconds = POSTERN_TIME_SECONDS, kMilliseconds = POSTERN_TIME_MILLISECONDS };

// postern_scheme_desc, member for member: see ext/schemes.h.
struct Scheme {
  std::string_view name = {};
  Hmac algorithm = Hmac::kSha256;
  std::string_view header = {};
  std::string_view format = {};
  std::string_view separator = {};
  std::string_view timestamp_header = {};
  std::string_view id_header = {};
  std::string_view signed_bytes = "{body}";
  Encoding signature_encoding = Encoding::kHex;
  SecretEncoding secret_encoding = SecretEncoding::kRaw;
  TimeUnit timestamp_unit = TimeUnit::kSeconds;
  uint32_t tolerance_s = 0;
  std::span<const std::string> secrets = {};
};

// postern_scheme_functions: a scheme that the plugin checks itself, where no description fits: see ext/schemes.h. They run on
// several threads at once. An exception of verify says that it cannot be told: the request is answered 503.
struct SchemeFunctions {
  std::string_view name = {};
  std::string_view header = {};
  std::span<const std::string> secrets = {};
  std::function<bool(const Verification&)> verify = {};  // whether it is genuine
  std::function<void(Signing&)> sign = {};               // optional
};

struct RouteScheme {
  std::string_view scheme = {};
  std::string_view id_from = {};
};

// postern_route_desc: see ext/routes.h. What only reply routes have stands last.
struct Route {
  std::string_view method = "POST";
  std::string_view path = {};
  std::vector<RouteScheme> schemes = {};
  std::string_view content_types = {};
  std::string_view type_from = {};
  std::string_view order_key_from = {};
  std::string_view required = {};
  std::string_view unsigned_id_from = {};
  uint64_t max_body = 0;
  milliseconds wait = {};
  bool without_signature = false;
  bool unordered = false;
  milliseconds deadline = {};
  bool recorded = false;
  std::string_view content_from = {};
  milliseconds dedupe_window = {};
};

// postern_sample_desc: see ext/routes.h. Headers are name, value, name, value, …
struct Sample {
  std::string_view name = {};
  std::string_view method = "POST";
  std::string_view target = {};
  std::string_view content_type = "application/json";
  std::string_view body = {};
  std::vector<std::string_view> headers = {};
};

// What a health check found.
struct Health {
  enum State : uint32_t {
    kHealthy = POSTERN_HEALTHY,
    kConfigured = POSTERN_CONFIGURED,
    kDegraded = POSTERN_DEGRADED,
    kUnhealthy = POSTERN_UNHEALTHY
  };
  State state = kUnhealthy;
  std::string message = {};
  std::string details_json = {};
};

// postern_policy_desc: see ext/events.h.
struct Policy {
  milliseconds deadline = {};  // of a run of a handler, a pending one's too
  uint32_t attempts = 0;
  milliseconds retry_base = {}, retry_cap = {};
};

// One of the YAML's `subscriptions:` that name this plugin. Views live until init returns.
struct SubscriptionEntry {
  size_t number = 0;  // for Setup::subscription_fault()
  std::string_view name = {}, on = {};
  std::string_view with = {};  // JSON
};

}  // namespace postern::inline sdk
