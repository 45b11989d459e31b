#include "core/client/upstream.h"

#include <algorithm>

#include "core/client/url.h"

namespace postern::client {
namespace {

constexpr size_t kMaxName = 64;
constexpr int64_t kLongestMs = 24ll * 3600 * 1000;
constexpr uint64_t kLargestResponse = 64ull << 20;

bool is_name(const std::string& name) {
  auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), fits);
}

bool is_span(int64_t ms) { return ms >= 1 && ms <= kLongestMs; }

Status check_where(const Upstream& u) {
  if (u.base_url.empty() && u.allow_hosts.empty() && !u.any_host) {
    return {Code::kInvalid, "it needs a base URL, allowed hosts, or leave to call any public host"};
  }
  if (!u.base_url.empty()) {
    auto base = parse_url(u.base_url);
    if (!base) return base.status().with_context("base URL");
    if (u.base_url.find_first_of("?#") != std::string::npos) return {Code::kInvalid, "its base URL must have no query"};
  }
  for (const std::string& host : u.allow_hosts) {
    if (Status s = check_host_pattern(host); !s) return s.with_context("allowed hosts");
  }
  return Status::ok();
}

}  // namespace

bool Upstream::allows_subdomains() const {
  return std::any_of(allow_hosts.begin(), allow_hosts.end(), [](const std::string& host) { return host.starts_with("*."); });
}

Status check(const Upstream& u) {
  if (!is_name(u.name)) return {Code::kInvalid, "an upstream's name has 1 to 64 of a-z, 0-9, '_', '-' and '.'"};
  std::string what = "upstream '" + u.name + "'";
  if (Status s = check_where(u); !s) return s.with_context(what);
  const Backoff& b = u.backoff;
  bool retries = u.attempts >= 1 && u.attempts <= 100 && is_span(b.base_ms) && is_span(b.cap_ms) && b.factor >= 1 && b.factor <= 1000 &&
                 b.jitter >= 0 && b.jitter <= 1;
  if (!retries) return {Code::kInvalid, what + ": retries need 1 to 100 attempts and waits of 1 ms to 1 day"};
  if (b.base_ms > b.cap_ms) return {Code::kInvalid, what + ": the first wait between attempts must not be longer than the cap of them"};
  bool spans = is_span(u.breaker_open_ms) && is_span(u.connect_ms) && is_span(u.attempt_ms) && is_span(u.deadline_ms);
  if (!spans || u.breaker_failures < 1) return {Code::kInvalid, what + ": its times must be 1 ms to 1 day, and its breaker needs a count"};
  if (u.max_in_flight < 1 || u.max_in_flight > 1000 || u.max_waiting > 100'000) {
    return {Code::kInvalid, what + ": 1 to 1000 requests may be in flight, up to 100000 wait"};
  }
  if (u.max_redirects > 10) return {Code::kInvalid, what + ": at most 10 redirects are followed"};
  if (u.max_response < 1 || u.max_response > kLargestResponse) return {Code::kInvalid, what + ": an answer has 1 byte to 64 MiB"};
  return Status::ok();
}

}  // namespace postern::client
