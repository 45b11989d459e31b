// A metric that a plugin has registered: `postern_metric` of the ABI is this. Its series are fixed from the start.
// Thread-safety: what it is like is const; its values any thread.
#pragma once

#include <postern/ext/metrics.h>

#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "core/base/counters.h"

namespace postern::plugin {

// One series; which member counts says the metric's kind.
struct MetricSeries {
  explicit MetricSeries(std::span<const double> buckets) : histogram(buckets) {}
  std::vector<std::string> values;  // of the metric's labels
  Counter counter;
  std::atomic<double> gauge{0};
  Histogram histogram;
};

}  // namespace postern::plugin

struct postern_metric {
  uint32_t kind = 0;  // POSTERN_METRIC_…
  std::string name;   // as the plugin gave it
  std::string help;
  std::vector<std::string> labels;
  std::vector<double> buckets;
  std::deque<postern::plugin::MetricSeries> series;  // atomics do not move
};
