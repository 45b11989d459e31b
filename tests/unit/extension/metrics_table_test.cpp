// postern.metrics as a plugin sees it: what is refused, how much there may be, and that counting needs no lock to be right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/metrics.h>

#include <cmath>
#include <limits>
#include <thread>

#include "core/extension/table.h"
#include "core/plugin/host.h"

namespace postern::extension {
namespace {

using ::testing::HasSubstr;
using Phase = postern_host::Phase;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }

// A description with storage of its own.
struct Description {
  uint32_t kind = POSTERN_METRIC_COUNTER;
  std::string name = "things_total", help = "Things.";
  std::vector<std::string> labels = {};
  std::vector<std::vector<std::string>> series = {};
  std::vector<double> buckets = {};
};

class MetricsTable : public ::testing::Test {
 protected:
  MetricsTable() { host_.phase = Phase::kInit; }

  postern_status add(const Description& d, postern_metric** metric) {
    std::vector<postern_str> labels, values;
    for (const auto& label : d.labels) labels.push_back(str(label));
    for (const auto& row : d.series) {
      for (const auto& value : row) values.push_back(str(value));
    }
    postern_metric_desc desc{};
    desc.struct_size = sizeof desc;
    desc.kind = d.kind;
    desc.name = str(d.name);
    desc.help = str(d.help);
    desc.labels = labels.data();
    desc.labels_len = labels.size();
    desc.values = values.data();
    desc.series_len = d.series.size();
    desc.buckets = d.buckets.data();
    desc.buckets_len = d.buckets.size();
    return table_.add(&host_, &desc, metric);
  }
  postern_metric* made(const Description& d) {
    postern_metric* metric = nullptr;
    EXPECT_EQ(add(d, &metric), POSTERN_OK) << plugin::take_error();
    return metric;
  }
  // The reason, which must be there.
  std::string refused(const Description& d, postern_status status = POSTERN_E_INVALID) {
    size_t before = host_.registrations.metrics.size();
    postern_metric* metric = reinterpret_cast<postern_metric*>(this);
    EXPECT_EQ(add(d, &metric), status) << d.name;
    EXPECT_EQ(metric, nullptr);
    EXPECT_EQ(host_.registrations.metrics.size(), before) << "nothing is left of it";
    return plugin::take_error();
  }

  const postern_ext_metrics& table_ = *static_cast<const postern_ext_metrics*>(host_api().get_extension(nullptr, str(POSTERN_EXT_METRICS)));
  postern_host host_;
};

TEST_F(MetricsTable, CountsInTheSeriesThatIsNamed) {
  postern_metric* counter = made({.labels = {"how"}, .series = {{"well"}, {"badly"}}});
  EXPECT_EQ(table_.count(counter, 0, 2), POSTERN_OK);
  EXPECT_EQ(table_.count(counter, 1, 1), POSTERN_OK);
  EXPECT_EQ(table_.count(counter, 0, 1), POSTERN_OK);
  EXPECT_EQ(counter->series[0].counter.value(), 3u);
  EXPECT_EQ(counter->series[1].counter.value(), 1u);
  EXPECT_EQ(counter->series[1].values, std::vector<std::string>{"badly"});

  postern_metric* gauge = made({.kind = POSTERN_METRIC_GAUGE, .name = "level"});
  EXPECT_EQ(table_.set(gauge, 0, 2.5), POSTERN_OK);
  EXPECT_EQ(table_.change(gauge, 0, -1), POSTERN_OK);
  EXPECT_EQ(gauge->series[0].gauge.load(), 1.5);

  postern_metric* histogram = made({.kind = POSTERN_METRIC_HISTOGRAM, .name = "wait_seconds", .buckets = {1, 2}});
  for (double value : {0.5, 1.0, 3.0}) EXPECT_EQ(table_.observe(histogram, 0, value), POSTERN_OK);
  EXPECT_EQ(histogram->series[0].histogram.in_bucket(0), 2u);
  EXPECT_EQ(histogram->series[0].histogram.in_bucket(2), 1u);
  EXPECT_EQ(histogram->series[0].histogram.sum(), 4.5);
  EXPECT_GT(made({.kind = POSTERN_METRIC_HISTOGRAM, .name = "other_seconds"})->buckets.size(), 5u) << "the host's own buckets";
}

TEST_F(MetricsTable, RefusesWhatIsNotThere) {
  postern_metric* counter = made({});
  postern_metric* gauge = made({.kind = POSTERN_METRIC_GAUGE, .name = "level"});
  postern_metric* histogram = made({.kind = POSTERN_METRIC_HISTOGRAM, .name = "wait_seconds"});
  EXPECT_EQ(table_.count(counter, 1, 1), POSTERN_E_INVALID);
  EXPECT_EQ(table_.count(counter, SIZE_MAX, 1), POSTERN_E_INVALID);
  EXPECT_EQ(table_.count(nullptr, 0, 1), POSTERN_E_INVALID);
  EXPECT_EQ(table_.count(gauge, 0, 1), POSTERN_E_INVALID);
  EXPECT_EQ(table_.set(counter, 0, 1), POSTERN_E_INVALID);
  EXPECT_EQ(table_.change(histogram, 0, 1), POSTERN_E_INVALID);
  EXPECT_EQ(table_.observe(gauge, 0, 1), POSTERN_E_INVALID);
  for (double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(table_.set(gauge, 0, value), POSTERN_E_INVALID);
    EXPECT_EQ(table_.change(gauge, 0, value), POSTERN_E_INVALID);
    EXPECT_EQ(table_.observe(histogram, 0, value), POSTERN_E_INVALID);
  }
  EXPECT_EQ(counter->series[0].counter.value(), 0u);
  EXPECT_EQ(histogram->series[0].histogram.count(), 0u);
}

TEST_F(MetricsTable, ChecksNames) {
  for (const char* name :
       {"", "Things_total", "1_total", "_total", "a-b_total", "a b_total", "a\n_total", "a{}_total", "caf\xc3\xa9_total"}) {
    EXPECT_THAT(refused({.name = name}), HasSubstr("name")) << name;
  }
  EXPECT_THAT(refused({.name = std::string(60, 'a') + "_total"}), HasSubstr("60"));
  EXPECT_THAT(refused({.name = "things"}), HasSubstr("_total"));
  EXPECT_THAT(refused({.kind = POSTERN_METRIC_GAUGE, .name = "things_total"}), HasSubstr("_total"));
  for (const char* name : {"a_bucket", "a_sum", "a_count", "bucket", "sum", "count"}) {
    EXPECT_THAT(refused({.kind = POSTERN_METRIC_GAUGE, .name = name}), HasSubstr("histogram")) << name;
  }
  EXPECT_THAT(refused({.kind = 4}), HasSubstr("kind"));
  made({});
  EXPECT_THAT(refused({}), HasSubstr("before"));
  EXPECT_THAT(host_.registrations.refusal, HasSubstr("things_total"));
}

TEST_F(MetricsTable, ChecksTextsLabelsAndBuckets) {
  for (const std::string& help : {std::string(), std::string(201, 'x'), std::string("two\nlines"), std::string("\xff")}) {
    EXPECT_THAT(refused({.help = help}), HasSubstr("help"));
  }
  EXPECT_THAT(refused({.labels = {"le"}, .series = {{"x"}}}), HasSubstr("label"));
  EXPECT_THAT(refused({.labels = {"a", "a"}, .series = {{"x", "y"}}}), HasSubstr("label"));
  EXPECT_THAT(refused({.labels = {"A"}, .series = {{"x"}}}), HasSubstr("label"));
  EXPECT_THAT(refused({.labels = {"a"}}), HasSubstr("series"));
  EXPECT_THAT(refused({.labels = {"a"}, .series = {{"x"}, {"x"}}}), HasSubstr("twice"));
  for (const std::string& value : {std::string("\xff"), std::string("a\nb"), std::string(101, 'x')}) {
    EXPECT_THAT(refused({.labels = {"a"}, .series = {{value}}}), HasSubstr("value"));
  }
  Description histogram{.kind = POSTERN_METRIC_HISTOGRAM, .name = "wait_seconds"};
  for (const std::vector<double>& buckets :
       {std::vector<double>{2, 1}, {1, 1}, {std::nan("")}, {1, std::numeric_limits<double>::infinity()}}) {
    histogram.buckets = buckets;
    EXPECT_THAT(refused(histogram), HasSubstr("ascend"));
  }
  EXPECT_THAT(refused({.buckets = {1}}), HasSubstr("histograms"));
}

TEST_F(MetricsTable, IsBounded) {
  EXPECT_THAT(refused({.labels = {"a", "b", "c", "d", "e"}, .series = {{"1", "2", "3", "4", "5"}}}, POSTERN_E_LIMIT), HasSubstr("4"));
  Description many{.labels = {"n"}};
  for (int i = 0; i < 1'001; ++i) many.series.push_back({std::to_string(i)});
  EXPECT_THAT(refused(many, POSTERN_E_LIMIT), HasSubstr("1000"));
  many.series.pop_back();
  made(many);
  EXPECT_THAT(refused({.name = "one_more_total"}, POSTERN_E_LIMIT), HasSubstr("1000"));
  host_.registrations.metrics.clear();
  for (int i = 0; i < 100; ++i) made({.name = "m" + std::to_string(i) + "_total"});
  EXPECT_THAT(refused({.name = "one_more_total"}, POSTERN_E_LIMIT), HasSubstr("100"));
  Description histogram{.kind = POSTERN_METRIC_HISTOGRAM, .name = "wait_seconds"};
  for (int i = 0; i < 31; ++i) histogram.buckets.push_back(i);
  refused(histogram, POSTERN_E_LIMIT);
}

TEST_F(MetricsTable, IsForInit) {
  for (Phase phase : {Phase::kCreated, Phase::kReady, Phase::kActive, Phase::kDown}) {
    host_.phase = phase;
    EXPECT_THAT(refused({}, POSTERN_E_STATE), HasSubstr("init"));
  }
}

TEST_F(MetricsTable, NoCountIsLostBetweenThreads) {
  postern_metric* counter = made({});
  postern_metric* gauge = made({.kind = POSTERN_METRIC_GAUGE, .name = "level"});
  postern_metric* histogram = made({.kind = POSTERN_METRIC_HISTOGRAM, .name = "wait_seconds"});
  std::vector<std::thread> threads;
  constexpr int kThreads = 4, kEach = 10'000;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        table_.count(counter, 0, 1);
        table_.change(gauge, 0, 1);
        table_.observe(histogram, 0, 1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter->series[0].counter.value(), static_cast<uint64_t>(kThreads * kEach));
  EXPECT_EQ(gauge->series[0].gauge.load(), kThreads * kEach);
  EXPECT_EQ(histogram->series[0].histogram.count(), static_cast<uint64_t>(kThreads * kEach));
  EXPECT_EQ(histogram->series[0].histogram.sum(), kThreads * kEach);
}

}  // namespace
}  // namespace postern::extension
