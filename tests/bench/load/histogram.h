// Histogram: latencies in log-linear buckets, 64 to each power of two, so that a percentile is off by less than 1.6 %.
// Thread-safety: one thread at a time; merge after the threads have ended.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace postern::load {

class Histogram {
 public:
  // `us`: microseconds; more than 2^40 counts as that.
  void record(uint64_t us) {
    if (us > kLargest) us = kLargest;
    ++counts_[bucket(us)];
    ++total_;
    if (us > max_) max_ = us;
  }

  void merge(const Histogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    if (other.max_ > max_) max_ = other.max_;
  }

  uint64_t total() const { return total_; }
  uint64_t max() const { return max_; }

  // Microseconds that the share `p` (0.5, 0.99) of the values does not exceed; 0 when there are none.
  uint64_t percentile(double p) const {
    const auto wanted = static_cast<uint64_t>(p * static_cast<double>(total_) + 0.5);
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return upper_bound(i) < max_ ? upper_bound(i) : max_;
    }
    return max_;
  }

 private:
  static constexpr int kBits = 6;  // log2 of the buckets to a power of two
  static constexpr uint64_t kLargest = uint64_t{1} << 40;

  // Values below 128 have a bucket each; above, the highest seven bits choose it.
  static size_t bucket(uint64_t us) {
    const int shift = std::bit_width(us) > kBits + 1 ? static_cast<int>(std::bit_width(us)) - kBits - 1 : 0;
    return (static_cast<size_t>(shift) << kBits) + static_cast<size_t>(us >> shift);
  }
  static uint64_t upper_bound(size_t index) {
    if (index < (size_t{2} << kBits)) return index;
    const size_t shift = (index >> kBits) - 1;
    return (((index & ((size_t{1} << kBits) - 1)) + (size_t{1} << kBits) + 1) << shift) - 1;
  }

  std::array<uint64_t, 36 << kBits> counts_{};
  uint64_t total_ = 0;
  uint64_t max_ = 0;
};

}  // namespace postern::load
