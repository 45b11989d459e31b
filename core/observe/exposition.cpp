#include "core/observe/exposition.h"

#include <prometheus/text_serializer.h>

#include <limits>

namespace postern::observe {

using prometheus::ClientMetric;
using prometheus::MetricType;

ClientMetric* Exposition::series(const std::string& name, std::string_view help, MetricType type, Labels labels) {
  auto [found, is_new] = by_name_.emplace(name, families_.size());
  if (is_new) families_.push_back({name, std::string(help), type, {}});
  prometheus::MetricFamily& family = families_[found->second];
  if (family.type != type) return nullptr;
  ClientMetric& metric = family.metric.emplace_back();
  for (auto& [label, value] : labels) metric.label.push_back({std::move(label), std::move(value)});
  return &metric;
}

void Exposition::counter(const std::string& name, std::string_view help, Labels labels, uint64_t value) {
  if (ClientMetric* metric = series(name, help, MetricType::Counter, std::move(labels))) metric->counter.value = static_cast<double>(value);
}

void Exposition::gauge(const std::string& name, std::string_view help, Labels labels, double value) {
  if (ClientMetric* metric = series(name, help, MetricType::Gauge, std::move(labels))) metric->gauge.value = value;
}

void Exposition::histogram(const std::string& name, std::string_view help, Labels labels, const Histogram& values) {
  ClientMetric* metric = series(name, help, MetricType::Histogram, std::move(labels));
  if (metric == nullptr) return;
  uint64_t below = 0;
  for (size_t i = 0; i < values.bounds().size(); ++i) {
    below += values.in_bucket(i);
    metric->histogram.bucket.push_back({below, values.bounds()[i]});
  }
  // The count is made of the same looks at the buckets, so that they never contradict each other.
  below += values.in_bucket(values.bounds().size());
  metric->histogram.bucket.push_back({below, std::numeric_limits<double>::infinity()});
  metric->histogram.sample_count = below;
  metric->histogram.sample_sum = values.sum();
}

std::string Exposition::text() const { return prometheus::TextSerializer().Serialize(families_); }

}  // namespace postern::observe
