// Figures: what one worker has counted, or all of them together. Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/bench/load/histogram.h"

namespace postern::load {

struct Figures {
  uint64_t requests = 0;    // sent
  uint64_t acked = 0;       // answered with 2xx
  uint64_t queued = 0;      // of them: said to be new
  uint64_t duplicates = 0;  // of them: said to be duplicates
  uint64_t repeats = 0;     // requests that repeated an acknowledged id on purpose (--duplicates)
  uint64_t retries = 0;     // requests that were sent again because their answer never came (--retry)
  uint64_t broken = 0;      // requests whose connection ended before the answer
  uint64_t timeouts = 0;    // requests that were not answered in time
  uint64_t malformed = 0;   // answers that are not HTTP
  uint64_t refused_connections = 0;
  uint64_t unacked = 0;  // events of which nobody knows whether they were accepted
  int64_t first_us = 0;  // steady time of the first request
  int64_t last_us = 0;   // and of the last answer
  std::map<int, uint64_t> statuses;
  Histogram latency;    // of the acknowledged ones
  std::string failure;  // why this worker gave up; empty: it did not

  uint64_t errors() const { return broken + timeouts + malformed; }
  void merge(const Figures& other);
};

}  // namespace postern::load
