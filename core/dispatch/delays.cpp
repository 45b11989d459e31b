#include "core/dispatch/delays.h"

#include <algorithm>

#include "core/base/backoff.h"

namespace postern::dispatch {
namespace {

constexpr int64_t kShortestPostponeMs = 1000;
constexpr uint32_t kMaxDoublings = 6;
constexpr int64_t kCapOfQuickOnes = 8000;  // a policy's cap may be shorter, for tests

// How far the least wait of what is put off again and again grows.
int64_t longest_shortest(const config::Retry& policy) { return std::max(policy.cap.count(), kCapOfQuickOnes); }

}  // namespace

int64_t retry_delay_ms(const config::Retry& policy, uint32_t attempts, std::optional<int64_t> wanted_ms, double random) {
  int64_t cap = policy.cap.count();
  int64_t own = backoff_ms({policy.base.count(), policy.factor, cap, policy.jitter}, attempts, random);
  return std::max(own, std::min(wanted_ms.value_or(0), cap));
}

int64_t postpone_delay_ms(const config::Retry& policy, uint32_t times, std::optional<int64_t> wanted_ms, double random) {
  int64_t shortest = std::min(kShortestPostponeMs << std::min(times - std::min(times, 1u), kMaxDoublings), longest_shortest(policy));
  auto wanted = static_cast<double>(std::min(wanted_ms.value_or(policy.base.count()), policy.cap.count()));
  return std::max(shortest, static_cast<int64_t>(wanted * (1 + policy.jitter * random)));
}

int64_t longest_delay_ms(const config::Retry& policy) {
  return std::max(2 * policy.cap.count(), longest_shortest(policy));  // jitter adds as much again at most
}

}  // namespace postern::dispatch
