// postern/metrics.hpp - what a plugin counts, shown on the gateway's /metrics. Part of plugin.hpp.
//
// Made in init by Setup, kept by the plugin, and counted with from any thread without a lock. Where the gateway has no postern.metrics
// they do nothing, so that no plugin has to ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ext/metrics.h"
#include "request.hpp"

namespace postern::inline sdk {

// postern_metric_desc: see ext/metrics.h.
struct Metric {
  std::string_view name = {};
  std::string_view help = {};
  std::vector<std::string_view> labels = {};
  std::vector<std::vector<std::string_view>> series = {};  // the values of the labels, a row for each
  std::vector<double> buckets = {};                        // histograms: none: 1 ms to 10 s
};

namespace detail {

class MetricHandle {
 public:
  MetricHandle() = default;
  MetricHandle(const postern_ext_metrics* table, postern_metric* metric) : table_(table), metric_(metric) {}

 protected:
  const postern_ext_metrics* table_ = nullptr;  // null: this gateway has none
  postern_metric* metric_ = nullptr;
};

}  // namespace detail

// `series`: which row of Metric::series. One that is not there counts nothing.
class Counter : public detail::MetricHandle {
 public:
  using MetricHandle::MetricHandle;
  void add(size_t series = 0, uint64_t by = 1) const {
    if (table_ != nullptr) table_->count(metric_, series, by);
  }
};

class Gauge : public detail::MetricHandle {
 public:
  using MetricHandle::MetricHandle;
  void set(double value, size_t series = 0) const {
    if (table_ != nullptr) table_->set(metric_, series, value);
  }
  void change(double by, size_t series = 0) const {
    if (table_ != nullptr) table_->change(metric_, series, by);
  }
};

class Histogram : public detail::MetricHandle {
 public:
  using MetricHandle::MetricHandle;
  void observe(double value, size_t series = 0) const {
    if (table_ != nullptr) table_->observe(metric_, series, value);
  }
};

}  // namespace postern::inline sdk
