// How long a delivery waits for its next run. All times are milliseconds. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "core/config/config.h"

namespace postern::dispatch {

// After its `attempts`th failure: what the policy says, or what the handler wants where that is longer; a wish beyond the policy's cap
// counts as the cap. It never shortens the policy's wait: what a handler wants is mostly a Retry-After, and an upstream that asks for
// haste must not burn all attempts within seconds. `random` is uniform in [0, 1).
int64_t retry_delay_ms(const config::Retry& policy, uint32_t attempts, std::optional<int64_t> wanted_ms, double random);

// When it is put off for the `times`th time in a row (from 1): as long as the handler wants, at most the policy's cap; the policy's first
// wait without a wish. 1 s at least, doubling to 64 s with the times (but not beyond the cap, or 8 s), so that
// thousands of deliveries which are put off again and again for days cost little. Jitter only
// lengthens it: before the time that a breaker gave, another run is in vain.
int64_t postpone_delay_ms(const config::Retry& policy, uint32_t times, std::optional<int64_t> wanted_ms, double random);

// No delay of a policy is longer, whatever was wanted.
int64_t longest_delay_ms(const config::Retry& policy);

}  // namespace postern::dispatch
