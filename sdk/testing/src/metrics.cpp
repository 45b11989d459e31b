// postern.metrics/1: what a plugin registers, under the same rules as at the gateway, and its values.
#include <algorithm>
#include <cmath>

#include "host_state.h"

namespace postern::testing {
namespace {

constexpr size_t kMaxMetrics = 100, kMaxSeries = 1000;
constexpr size_t kMaxName = 60, kMaxHelp = 200, kMaxLabels = 4, kMaxValue = 100, kMaxBuckets = 30;

bool is_name(const std::string& name) {
  auto fit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= kMaxName && name[0] >= 'a' && name[0] <= 'z' &&
         std::all_of(name.begin(), name.end(), fit);
}

bool is_line(const std::string& text, size_t max_bytes) {
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return text.size() <= max_bytes && std::none_of(text.begin(), text.end(), is_control);
}

std::string fault_of_name(const MetricDeclaration& m) {
  if (!is_name(m.name)) return "a name is of a-z, 0-9 and _, begins with a letter and has at most 60 bytes";
  std::string shown = "_" + m.name;
  for (const char* own : {"_bucket", "_sum", "_count"}) {
    if (shown.ends_with(own)) return std::string(own) + " at the end of a name is for the series of histograms";
  }
  if (shown.ends_with("_total") != (m.kind == POSTERN_METRIC_COUNTER))
    return "a counter's name ends in _total, and no other one's";
  return {};
}

std::string fault_of_series(const MetricDeclaration& m) {
  if (m.labels.size() > kMaxLabels) return "more than 4 labels";
  for (size_t i = 0; i < m.labels.size(); ++i) {
    bool taken = std::find(m.labels.begin(), m.labels.begin() + static_cast<ptrdiff_t>(i), m.labels[i]) !=
                 m.labels.begin() + static_cast<ptrdiff_t>(i);
    if (!is_name(m.labels[i]) || taken || m.labels[i] == "le") return "a label without a name of its own, or le";
  }
  if (m.labels.empty() != m.series.empty()) return "series are named by the values of labels: both, or neither";
  if (m.series.size() > kMaxSeries) return "more than 1000 series";
  for (auto row = m.series.begin(); row != m.series.end(); ++row) {
    if (std::find(m.series.begin(), row, *row) != row) return "a series is named twice";
    for (const std::string& value : *row) {
      if (!is_line(value, kMaxValue)) return "a label's value is not one line of at most 100 bytes";
    }
  }
  return {};
}

std::string fault_of(const HostState& host, const MetricDeclaration& m) {
  if (m.kind < POSTERN_METRIC_COUNTER || m.kind > POSTERN_METRIC_HISTOGRAM) return "unknown kind";
  if (std::string fault = fault_of_name(m); !fault.empty()) return fault;
  if (m.help.empty() || !is_line(m.help, kMaxHelp)) return "its help is not one line of at most 200 bytes";
  if (std::string fault = fault_of_series(m); !fault.empty()) return fault;
  if (!m.buckets.empty() && m.kind != POSTERN_METRIC_HISTOGRAM) return "only histograms have buckets";
  bool finite = std::all_of(m.buckets.begin(), m.buckets.end(), [](double bound) { return std::isfinite(bound); });
  bool ascend = std::adjacent_find(m.buckets.begin(), m.buckets.end(), std::greater_equal<>()) == m.buckets.end();
  if (m.buckets.size() > kMaxBuckets || !finite || !ascend) return "its buckets do not ascend, or are more than 30";
  size_t series = std::max<size_t>(1, m.series.size());
  for (const MetricState& other : host.metrics) {
    if (other.declared.name == m.name) return "its name is taken";
    series += other.values.size();
  }
  if (host.metrics.size() >= kMaxMetrics || series > kMaxSeries) return "more than 100 metrics or 1000 series";
  return {};
}

postern_status add(postern_host* handle, const postern_metric_desc* theirs, postern_metric** metric) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (metric == nullptr || theirs == nullptr) return host.refuse("metric: no description, or no place for its handle");
  *metric = nullptr;
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  postern_metric_desc d = read_sized(theirs);
  bool hollow = (d.labels == nullptr && d.labels_len > 0) || (d.values == nullptr && d.labels_len * d.series_len > 0) ||
                (d.buckets == nullptr && d.buckets_len > 0);
  if (hollow) return host.refuse("metric " + to_string(d.name) + ": a length without a list");
  MetricDeclaration m{d.kind, to_string(d.name), to_string(d.help), {}, {}, {d.buckets, d.buckets + d.buckets_len}};
  for (size_t i = 0; i < d.labels_len; ++i) m.labels.push_back(to_string(d.labels[i]));
  for (size_t row = 0; row < d.series_len; ++row) {
    std::vector<std::string>& values = m.series.emplace_back();
    for (size_t i = 0; i < d.labels_len; ++i) values.push_back(to_string(d.values[row * d.labels_len + i]));
  }
  if (std::string fault = fault_of(host, m); !fault.empty()) return host.refuse("metric " + m.name + ": " + fault);
  MetricState& state = host.metrics.emplace_back();
  state.host = &host;
  state.values.resize(std::max<size_t>(1, m.series.size()));
  state.declared = std::move(m);
  *metric = reinterpret_cast<postern_metric*>(&state);
  return POSTERN_OK;
}

// Counts wrongly are what a test wants to hear of: the gateway only answers with a status, which few look at.
postern_status change(postern_metric* handle, uint32_t kind, size_t series, double value, bool set) {
  if (handle == nullptr) return POSTERN_E_INVALID;
  MetricState& state = *reinterpret_cast<MetricState*>(handle);
  std::lock_guard lock(state.host->mutex);
  const char* fault = state.declared.kind != kind      ? "another kind of metric"
                      : series >= state.values.size()  ? "a series that is not there"
                      : !std::isfinite(value)          ? "a value that is not finite"
                                                       : nullptr;
  if (fault != nullptr) {
    state.host->misuses.push_back("metric " + state.declared.name + ": " + fault);
    return POSTERN_E_INVALID;
  }
  MetricValue& now = state.values[series];
  now.value = set ? value : now.value + value;
  if (kind == POSTERN_METRIC_HISTOGRAM) now.observed.push_back(value);
  return POSTERN_OK;
}

postern_status count(postern_metric* metric, size_t series, uint64_t by) {
  return change(metric, POSTERN_METRIC_COUNTER, series, static_cast<double>(by), false);
}
postern_status set(postern_metric* metric, size_t series, double value) {
  return change(metric, POSTERN_METRIC_GAUGE, series, value, true);
}
postern_status change_by(postern_metric* metric, size_t series, double by) {
  return change(metric, POSTERN_METRIC_GAUGE, series, by, false);
}
postern_status observe(postern_metric* metric, size_t series, double value) {
  return change(metric, POSTERN_METRIC_HISTOGRAM, series, value, false);
}

}  // namespace

const postern_ext_metrics kMetrics = {&add, &count, &set, &change_by, &observe};

std::vector<MetricDeclaration> FakeHost::metrics() const {
  std::lock_guard lock(state_->mutex);
  std::vector<MetricDeclaration> list;
  for (const MetricState& state : state_->metrics) list.push_back(state.declared);
  return list;
}

MetricValue FakeHost::metric(std::string_view name, const std::vector<std::string>& values) const {
  std::lock_guard lock(state_->mutex);
  for (const MetricState& state : state_->metrics) {
    if (state.declared.name != name) continue;
    if (state.declared.series.empty() && values.empty()) return state.values.front();
    for (size_t i = 0; i < state.declared.series.size(); ++i) {
      if (state.declared.series[i] == values) return state.values[i];
    }
  }
  MetricValue nothing;
  nothing.there = false;
  return nothing;
}

}  // namespace postern::testing
