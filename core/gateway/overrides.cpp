#include "core/gateway/overrides.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/admission/address_list.h"

namespace postern::gateway {
namespace {

template <typename Ours, typename Set>
void replace(Ours& ours, const std::optional<Set>& set) {
  if (!set) return;
  if constexpr (std::is_same_v<Set, config::milliseconds>) {
    ours = set->count();
  } else {
    ours = *set;
  }
}

}  // namespace

Status apply(const config::RouteOverride* set, const config::Config& config, ingest::Route& route) {
  if (route.max_body == 0) route.max_body = config.max_body;
  if (set == nullptr) return Status::ok();
  bool replies = route.asks_plugin();
  if (replies && set->wait) return {Code::kInvalid, "route " + route.path + " replies by itself: it has a deadline, no wait"};
  if (!replies && set->deadline) return {Code::kInvalid, "route " + route.path + " is an event route: it has a wait, no deadline"};
  if (set->wait) route.wait_ms = set->wait->count();
  if (set->max_body) route.max_body = *set->max_body;
  if (set->reject_status) route.reject_status = *set->reject_status;
  if (set->ordered) route.ordered = *set->ordered;
  if (set->dedupe_window) route.dedupe_window_ms = set->dedupe_window->count();
  if (set->deadline) route.deadline_ms = set->deadline->count();
  if (set->rate_per_client) route.rules.rate_per_client = std::make_shared<admission::ClientRate>(*set->rate_per_client);
  if (set->rate) route.rules.rate = std::make_shared<admission::TokenBucket>(*set->rate);
  auto allow = admission::AddressList::parse(set->allow);
  if (!allow) return allow.status();
  route.rules.allow = std::move(*allow);
  return Status::ok();
}

void apply(const config::UpstreamOverride& set, client::Upstream& upstream) {
  replace(upstream.attempts, set.attempts);
  replace(upstream.backoff.base_ms, set.base);
  replace(upstream.backoff.cap_ms, set.cap);
  replace(upstream.breaker_failures, set.failures);
  replace(upstream.breaker_open_ms, set.open_for);
  replace(upstream.deadline_ms, set.deadline);
  replace(upstream.max_in_flight, set.max_in_flight);
  replace(upstream.max_response, set.max_response);
  if (!set.allow_hosts) return;
  upstream.any_host = false;
  upstream.allow_hosts.clear();
  for (const config::AllowedHost& host : *set.allow_hosts) upstream.allow_hosts.push_back(host.pattern);
}

config::Policies policies_for(const plugin::PolicyWish& wish, config::Policies policies) {
  auto take = [](auto& to, uint32_t from) {
    if (from != 0) to = std::remove_reference_t<decltype(to)>(from);
  };
  if (!policies.deadline_is_own) take(policies.deadline, wish.deadline_ms);
  if (policies.retry_is_own) return policies;
  take(policies.retry.attempts, wish.attempts);
  take(policies.retry.base, wish.retry_base_ms);
  take(policies.retry.cap, wish.retry_cap_ms);
  policies.retry.cap = std::max(policies.retry.cap, policies.retry.base);
  return policies;
}

}  // namespace postern::gateway
