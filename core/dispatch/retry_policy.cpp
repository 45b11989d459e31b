#include "core/dispatch/retry_policy.h"

#include <algorithm>
#include <cmath>

namespace postern::dispatch {

int64_t retry_delay_ms(const config::Retry& policy, uint32_t attempts, double random) {
  auto cap = static_cast<double>(policy.cap.count());
  double delay = static_cast<double>(policy.base.count()) * std::pow(policy.factor, static_cast<double>(attempts) - 1);
  delay = std::min(delay, cap);  // an overflow to infinity ends here too
  delay *= 1 + policy.jitter * (2 * random - 1);
  return std::max<int64_t>(1, static_cast<int64_t>(delay));
}

}  // namespace postern::dispatch
