// Meter: what a store counts for metrics, besides Counters. Thread-safety: any thread.
#pragma once

#include "core/base/counters.h"

namespace postern::store {

struct Meter {
  static constexpr double kEvents[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4096};
  static constexpr double kSeconds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};

  Histogram batch_events{kEvents};     // of batches with events
  Histogram commit_seconds{kSeconds};  // from a batch's begin until it is durable, or has failed
  Counter failed_batches;
};

}  // namespace postern::store
