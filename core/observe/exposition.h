// Exposition: metric families, gathered for one answer and written in Prometheus' text format. Thread-safety: one thread at a time.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/counters.h"

namespace postern::observe {

class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;  // name, value

  // One series each. A family has the kind and the help of its first series; one of another kind is left out.
  void counter(const std::string& name, std::string_view help, Labels labels, uint64_t value);
  void gauge(const std::string& name, std::string_view help, Labels labels, double value);
  void histogram(const std::string& name, std::string_view help, Labels labels, const Histogram& values);

  // In the order in which the families came.
  std::string text() const;

 private:
  prometheus::ClientMetric* series(const std::string& name, std::string_view help, prometheus::MetricType type, Labels labels);

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, size_t> by_name_;
};

}  // namespace postern::observe
