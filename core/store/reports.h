// Reports: what has come within a time and what has become of it, counted for people. Thread-safety: any thread that may wait for the disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace postern::store {

struct ProviderReport {
  std::string provider;
  uint64_t received = 0;             // events
  uint64_t done = 0, dead = 0, waiting = 0;  // their deliveries, as they stand now
  int64_t slowest_ms = 0;            // of those that are done: from the event's arrival to its handling; 0 without one
  std::string slowest_event, slowest_type;  // "evt_…"
};

class Reports {
 public:
  virtual ~Reports() = default;

  // Of events that came from `from` on and before `to` (Unix milliseconds) and are still stored, by provider in alphabetical order. Reads
  // each of them: about a second for a million.
  virtual Result<std::vector<ProviderReport>> by_provider(int64_t from, int64_t to) = 0;
};

}  // namespace postern::store
