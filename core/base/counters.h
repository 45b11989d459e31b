// What a hot path may count with: a relaxed atomic each, without locks. What a value means says whoever keeps it; core/observe shows it.
// Thread-safety: any thread. A reader gets each value as it was at some moment, not all of them at the same one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace postern {

// Only grows.
class Counter {
 public:
  void add(uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// How often values fell between fixed bounds, and their sum.
class Histogram {
 public:
  // `bounds`: the buckets' upper ends (inclusive), ascending; they outlive the histogram. What is beyond the last one counts too.
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds), counts_(std::make_unique<Counter[]>(bounds.size() + 1)) {}

  void observe(double value) {
    auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<size_t>(bucket)].add();
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  std::span<const double> bounds() const { return bounds_; }
  // Values in the bucket that ends at bounds()[i]; i == bounds().size(): beyond the last bound.
  uint64_t in_bucket(size_t i) const { return counts_[i].value(); }
  uint64_t count() const {
    uint64_t all = 0;
    for (size_t i = 0; i <= bounds_.size(); ++i) all += counts_[i].value();
    return all;
  }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::span<const double> bounds_;
  std::unique_ptr<Counter[]> counts_;
  std::atomic<double> sum_{0};
};

}  // namespace postern
