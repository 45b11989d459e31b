// When a failed delivery is tried again. Thread-safety: pure functions.
#pragma once

#include <cstdint>

#include "core/config/config.h"

namespace postern::dispatch {

// Milliseconds to wait after the `attempts`th failure (from 1): base · factor^(attempts-1), at most cap, ± jitter.
// `random` is uniform in [0, 1).
int64_t retry_delay_ms(const config::Retry& policy, uint32_t attempts, double random);

}  // namespace postern::dispatch
