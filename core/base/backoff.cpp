#include "core/base/backoff.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace postern {

int64_t backoff_ms(const Backoff& policy, uint32_t attempts, double random) {
  auto cap = static_cast<double>(policy.cap_ms);
  double delay = static_cast<double>(policy.base_ms) * std::pow(policy.factor, static_cast<double>(attempts) - 1);
  delay = std::min(delay, cap);  // an overflow to infinity ends here too
  delay *= 1 + policy.jitter * (2 * random - 1);
  return std::max<int64_t>(1, static_cast<int64_t>(delay));
}

double random_share() {
  thread_local std::mt19937_64 generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace postern
