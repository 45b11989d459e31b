// Meter: how runs of handlers ended, counted for metrics by the event's declared type. A run counts when its outcome is durable.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <deque>

#include "core/base/counters.h"
#include "core/ingest/type_table.h"
#include "core/store/store.h"

namespace postern::dispatch {

class Meter {
 public:
  // Of one run, from the handler's start to its end, which may be much later where it is pending. Seconds.
  static constexpr double kSeconds[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300};

  struct OfType {
    Counter done, retry, postpone, dead;
    Histogram seconds{kSeconds};
  };
  struct Totals {
    uint64_t succeeded = 0, failed = 0;  // runs since the start; one that was put off is neither
  };

  explicit Meter(size_t types) : of_type_(types) {}

  void settled(ingest::TypeTable::Id type, store::Settlement::Kind kind, int64_t duration_us) {
    OfType& of = of_type_[type < of_type_.size() ? type : ingest::TypeTable::kOther];
    switch (kind) {
      case store::Settlement::Kind::kDone: of.done.add(); break;
      case store::Settlement::Kind::kRetry: of.retry.add(); break;
      case store::Settlement::Kind::kPostpone: of.postpone.add(); break;
      case store::Settlement::Kind::kDead: of.dead.add(); break;
    }
    constexpr double kUsPerSecond = 1e6;
    of.seconds.observe(static_cast<double>(duration_us) / kUsPerSecond);
  }

  const std::deque<OfType>& of_type() const { return of_type_; }  // by TypeTable::Id
  Totals totals() const {
    Totals all;
    for (const OfType& of : of_type_) {
      all.succeeded += of.done.value();
      all.failed += of.retry.value() + of.dead.value();
    }
    return all;
  }

 private:
  std::deque<OfType> of_type_;  // atomics do not move
};

}  // namespace postern::dispatch
