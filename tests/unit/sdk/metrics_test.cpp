// Metrics through the C++ wrapper and the fake host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "scripted.h"

namespace {

using postern::Metric;
using postern::testing::MetricDeclaration;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Metrics : public postern::testing::ScriptedTest {
 protected:
  // What the host says to one registration.
  std::string refusal_of(const std::function<void(postern::Setup&)>& declare) {
    auto started = start([&](postern::Setup& setup, std::string_view) { declare(setup); });
    EXPECT_EQ(started.status, POSTERN_E_INVALID);
    EXPECT_THAT(started.refusals, SizeIs(1));
    return started.refusals.empty() ? started.error : started.refusals[0];
  }
};

TEST_F(Metrics, ArriveMemberForMember) {
  auto started = start([](postern::Setup& setup, std::string_view) {
    setup.histogram({.name = "wait_seconds",
                     .help = "How long.",
                     .labels = {"who", "how"},
                     .series = {{"a", "b"}, {"c", "d"}},
                     .buckets = {1, 2}});
  });
  ASSERT_TRUE(started.ok()) << started.error;
  ASSERT_THAT(host->metrics(), SizeIs(1));
  MetricDeclaration m = host->metrics()[0];
  EXPECT_EQ(m.kind, static_cast<uint32_t>(POSTERN_METRIC_HISTOGRAM));
  EXPECT_EQ(m.name, "wait_seconds");
  EXPECT_EQ(m.help, "How long.");
  EXPECT_THAT(m.labels, ElementsAre("who", "how"));
  EXPECT_THAT(m.series, ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "d")));
  EXPECT_THAT(m.buckets, ElementsAre(1, 2));
}

TEST_F(Metrics, Count) {
  postern::Counter counter;
  postern::Gauge gauge;
  postern::Histogram histogram;
  auto started = start([&](postern::Setup& setup, std::string_view) {
    counter = setup.counter({.name = "seen_total", .help = "Seen.", .labels = {"how"}, .series = {{"well"}, {"badly"}}});
    gauge = setup.gauge({.name = "level", .help = "Level."});
    histogram = setup.histogram({.name = "wait_seconds", .help = "How long."});
  });
  ASSERT_TRUE(started.ok()) << started.error;
  counter.add();
  counter.add(1, 5);
  gauge.set(3);
  gauge.change(-1.5);
  histogram.observe(0.5);
  histogram.observe(2);
  EXPECT_EQ(host->metric("seen_total", {"well"}).value, 1);
  EXPECT_EQ(host->metric("seen_total", {"badly"}).value, 5);
  EXPECT_EQ(host->metric("level").value, 1.5);
  EXPECT_THAT(host->metric("wait_seconds").observed, ElementsAre(0.5, 2));
  EXPECT_FALSE(host->metric("seen_total").there);
  EXPECT_FALSE(host->metric("seen_total", {"never"}).there);
  EXPECT_FALSE(host->metric("nothing").there);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(Metrics, DoNothingWhereTheGatewayHasNone) {
  postern::Counter counter;
  auto started = start([&](postern::Setup& setup, std::string_view) { counter = setup.counter({.name = "seen_total", .help = "Seen."}); },
                       {.without = {POSTERN_EXT_METRICS}});
  EXPECT_TRUE(started.ok()) << started.error;
  counter.add();
  postern::Gauge().set(1);
  postern::Histogram().observe(1);
}

TEST_F(Metrics, WhatIsCountedWronglyIsAMisuse) {
  postern::Counter counter;
  postern::Gauge gauge;
  ASSERT_TRUE(start([&](postern::Setup& setup, std::string_view) {
                counter = setup.counter({.name = "seen_total", .help = "Seen."});
                gauge = setup.gauge({.name = "level", .help = "Level."});
              }).ok());
  counter.add(7);
  gauge.set(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(host->misuses(), ElementsAre(HasSubstr("seen_total"), HasSubstr("not finite")));
}

TEST_F(Metrics, AreRefusedAsByTheGateway) {
  using postern::Setup;
  EXPECT_THAT(refusal_of([](Setup& s) { s.counter({.name = "seen", .help = "x"}); }), HasSubstr("_total"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "seen_total", .help = "x"}); }), HasSubstr("_total"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "a_sum", .help = "x"}); }), HasSubstr("histograms"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "Level", .help = "x"}); }), HasSubstr("name"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "level"}); }), HasSubstr("help"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "level", .help = "x", .labels = {"le"}, .series = {{"a"}}}); }), HasSubstr("le"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "level", .help = "x", .labels = {"a"}}); }), HasSubstr("series"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.gauge({.name = "level", .help = "x", .buckets = {1}}); }), HasSubstr("histograms"));
  EXPECT_THAT(refusal_of([](Setup& s) { s.histogram({.name = "h", .help = "x", .buckets = {2, 1}}); }), HasSubstr("ascend"));
}

// The rows are one list across the ABI: with a value too few, each would be read as part of the next.
TEST_F(Metrics, ARowHasAValueForEachLabel) {
  auto started = start([](postern::Setup& setup, std::string_view) {
    setup.gauge({.name = "level", .help = "x", .labels = {"a", "b"}, .series = {{"1"}, {"2", "3"}}});
  });
  EXPECT_EQ(started.status, POSTERN_E_INVALID);
  EXPECT_THAT(host->metrics(), IsEmpty());
}

}  // namespace
