// How long to wait before a failed thing is tried again. Thread-safety: any thread.
#pragma once

#include <cstdint>

namespace postern {

struct Backoff {
  int64_t base_ms = 1000;
  double factor = 2;
  int64_t cap_ms = 60'000;
  double jitter = 0.1;  // ± this share of the delay
};

// Milliseconds to wait after the `attempts`th failure (from 1): base · factor^(attempts-1), at most cap, ± jitter; never below 1.
// `random` is uniform in [0, 1).
int64_t backoff_ms(const Backoff& policy, uint32_t attempts, double random);

// Uniform in [0, 1); not for secrets.
double random_share();

}  // namespace postern
