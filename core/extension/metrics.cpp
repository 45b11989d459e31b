// postern.metrics/1
#include <postern/ext/metrics.h>

#include <algorithm>
#include <cmath>

#include "core/extension/convert.h"
#include "core/extension/table.h"
#include "core/http/target.h"

namespace postern::extension {
namespace {

constexpr size_t kMaxMetrics = 100, kMaxSeries = 1000;  // of a plugin
constexpr size_t kMaxName = 60, kMaxHelp = 200, kMaxLabels = 4, kMaxValue = 100, kMaxBuckets = 30;
constexpr double kDefaultBuckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

bool is_name(std::string_view name) {
  auto fit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= kMaxName && name[0] >= 'a' && name[0] <= 'z' && std::all_of(name.begin(), name.end(), fit);
}

bool is_line(std::string_view text, size_t max_bytes) {
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return text.size() <= max_bytes && std::none_of(text.begin(), text.end(), is_control) && http::is_utf8(text);
}

Status check_name(const postern_metric& metric) {
  if (!is_name(metric.name)) return {Code::kInvalid, "a name is of a-z, 0-9 and _, begins with a letter and has at most 60 bytes"};
  std::string name = "_" + metric.name;  // as it is shown: behind the plugin's
  for (const char* own : {"_bucket", "_sum", "_count"}) {
    if (name.ends_with(own)) return {Code::kInvalid, std::string(own) + " at the end of a name is for the series of histograms"};
  }
  bool total = name.ends_with("_total");
  if (metric.kind == POSTERN_METRIC_COUNTER && !total) return {Code::kInvalid, "a counter's name ends in _total"};
  if (metric.kind != POSTERN_METRIC_COUNTER && total) return {Code::kInvalid, "_total at the end of a name is for counters"};
  return Status::ok();
}

Status read_labels(const postern_metric_desc& desc, postern_metric& metric) {
  if (desc.labels_len > kMaxLabels) return {Code::kLimit, "a metric has at most 4 labels"};
  for (size_t i = 0; i < desc.labels_len; ++i) {
    std::string name = copy(desc.labels[i]);
    bool taken = std::find(metric.labels.begin(), metric.labels.end(), name) != metric.labels.end();
    // Histograms have "le" themselves.
    if (!is_name(name) || taken || name == "le") {
      return {Code::kInvalid, "its labels need names of a-z, 0-9 and _, each another one, not le"};
    }
    metric.labels.push_back(std::move(name));
  }
  return Status::ok();
}

Status read_buckets(const postern_metric_desc& desc, postern_metric& metric) {
  if (metric.kind != POSTERN_METRIC_HISTOGRAM) {
    return desc.buckets_len == 0 ? Status::ok() : Status(Code::kInvalid, "only histograms have buckets");
  }
  if (desc.buckets_len > kMaxBuckets) return {Code::kLimit, "a histogram has at most 30 buckets"};
  metric.buckets.assign(desc.buckets, desc.buckets + desc.buckets_len);
  if (metric.buckets.empty()) metric.buckets.assign(std::begin(kDefaultBuckets), std::end(kDefaultBuckets));
  bool finite = std::all_of(metric.buckets.begin(), metric.buckets.end(), [](double bound) { return std::isfinite(bound); });
  bool ascending = std::adjacent_find(metric.buckets.begin(), metric.buckets.end(), std::greater_equal<>()) == metric.buckets.end();
  return finite && ascending ? Status::ok() : Status(Code::kInvalid, "the buckets' ends are finite and ascend");
}

Status read_series(const postern_metric_desc& desc, postern_metric& metric) {
  if (metric.labels.empty()) {
    metric.series.emplace_back(metric.buckets);
    return desc.series_len == 0 ? Status::ok() : Status(Code::kInvalid, "a metric without labels has one series, without values");
  }
  if (desc.series_len == 0) return {Code::kInvalid, "a metric with labels names its series"};
  if (desc.series_len > kMaxSeries) return {Code::kLimit, "a plugin has at most 1000 series"};
  for (size_t row = 0; row < desc.series_len; ++row) {
    std::vector<std::string> values;
    for (size_t i = 0; i < desc.labels_len; ++i) {
      values.push_back(copy(desc.values[row * desc.labels_len + i]));
      if (!is_line(values.back(), kMaxValue)) return {Code::kInvalid, "a label's value is one line of UTF-8 of at most 100 bytes"};
    }
    bool twice = std::any_of(metric.series.begin(), metric.series.end(), [&](const auto& other) { return other.values == values; });
    if (twice) return {Code::kInvalid, "a series is named twice"};
    metric.series.emplace_back(metric.buckets).values = std::move(values);
  }
  return Status::ok();
}

Status describe(const postern_metric_desc& desc, postern_metric& metric) {
  if (desc.kind < POSTERN_METRIC_COUNTER || desc.kind > POSTERN_METRIC_HISTOGRAM) {
    return {Code::kInvalid, "unknown kind " + std::to_string(desc.kind)};
  }
  metric.kind = desc.kind;
  metric.name = copy(desc.name);
  metric.help = copy(desc.help);
  if (Status s = check_name(metric); !s) return s;
  bool hollow = (desc.labels == nullptr && desc.labels_len > 0) || (desc.values == nullptr && desc.labels_len > 0 && desc.series_len > 0) ||
                (desc.buckets == nullptr && desc.buckets_len > 0);
  if (hollow) return {Code::kInvalid, "a length without a list"};
  if (metric.help.empty() || !is_line(metric.help, kMaxHelp)) {
    return {Code::kInvalid, "its help says what it counts, in one line of UTF-8 of at most 200 bytes"};
  }
  if (Status s = read_labels(desc, metric); !s) return s;
  if (Status s = read_buckets(desc, metric); !s) return s;
  return read_series(desc, metric);
}

// `metric` is among them already.
Status check_room(const plugin::Registrations& registrations, const postern_metric& metric) {
  size_t series = metric.series.size();
  if (registrations.metrics.size() > kMaxMetrics) return {Code::kLimit, "a plugin has at most 100 metrics"};
  for (const postern_metric& other : registrations.metrics) {
    if (&other == &metric) continue;
    if (other.name == metric.name) return {Code::kInvalid, "a metric of this name was added before"};
    series += other.series.size();
  }
  if (series > kMaxSeries) return {Code::kLimit, "a plugin has at most 1000 series"};
  return Status::ok();
}

postern_status add(postern_host* host, const postern_metric_desc* desc, postern_metric** handle) {
  return contained([&]() -> postern_status {
    if (handle == nullptr) return fail(POSTERN_E_INVALID, "a metric needs a place for its handle");
    *handle = nullptr;
    if (!in_init(host)) return fail(POSTERN_E_STATE, "metrics are added in init");
    postern_metric_desc theirs = sized(desc);
    postern_metric& metric = host->registrations.metrics.emplace_back();  // in its place, since atomics do not move
    Status status = describe(theirs, metric);
    if (status) status = check_room(host->registrations, metric);
    if (status) {
      *handle = &metric;
      return POSTERN_OK;
    }
    std::string name = metric.name.substr(0, kMaxName);
    host->registrations.metrics.pop_back();
    return refuse(host, status.with_context("metric " + name));
  });
}

plugin::MetricSeries* find(postern_metric* metric, uint32_t kind, size_t series) {
  if (metric == nullptr || metric->kind != kind || series >= metric->series.size()) return nullptr;
  return &metric->series[series];
}

postern_status count(postern_metric* metric, size_t series, uint64_t by) {
  plugin::MetricSeries* found = find(metric, POSTERN_METRIC_COUNTER, series);
  if (found == nullptr) return POSTERN_E_INVALID;
  found->counter.add(by);
  return POSTERN_OK;
}

postern_status set(postern_metric* metric, size_t series, double value) {
  plugin::MetricSeries* found = find(metric, POSTERN_METRIC_GAUGE, series);
  if (found == nullptr || !std::isfinite(value)) return POSTERN_E_INVALID;
  found->gauge.store(value, std::memory_order_relaxed);
  return POSTERN_OK;
}

postern_status change(postern_metric* metric, size_t series, double by) {
  plugin::MetricSeries* found = find(metric, POSTERN_METRIC_GAUGE, series);
  if (found == nullptr || !std::isfinite(by)) return POSTERN_E_INVALID;
  found->gauge.fetch_add(by, std::memory_order_relaxed);
  return POSTERN_OK;
}

postern_status observe(postern_metric* metric, size_t series, double value) {
  plugin::MetricSeries* found = find(metric, POSTERN_METRIC_HISTOGRAM, series);
  if (found == nullptr || !std::isfinite(value)) return POSTERN_E_INVALID;
  found->histogram.observe(value);
  return POSTERN_OK;
}

}  // namespace

const void* metrics() {
  static const postern_ext_metrics table{add, count, set, change, observe};
  return &table;
}

}  // namespace postern::extension
