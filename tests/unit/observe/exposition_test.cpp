#include "core/observe/exposition.h"

#include <gtest/gtest.h>

namespace postern::observe {
namespace {

TEST(ExpositionTest, WritesEachKind) {
  Exposition out;
  out.counter("a_total", "Counts.", {{"type", "x"}}, 3);
  out.gauge("b", "Goes.", {}, 1.5);
  out.counter("a_total", "ignored", {{"type", "y"}}, 0);
  EXPECT_EQ(out.text(), R"(# HELP a_total Counts.
# TYPE a_total counter
a_total{type="x"} 3
a_total{type="y"} 0
# HELP b Goes.
# TYPE b gauge
b 1.5
)");
}

TEST(ExpositionTest, HistogramsAreCumulativeAndEndWithInfinity) {
  constexpr double kBounds[] = {1, 10};
  Histogram values(kBounds);
  for (double value : {0.5, 1.0, 2.0, 10.0, 11.0}) values.observe(value);
  Exposition out;
  out.histogram("h", "Sizes.", {}, values);
  EXPECT_EQ(out.text(), R"(# HELP h Sizes.
# TYPE h histogram
h_count 5
h_sum 24.5
h_bucket{le="1"} 2
h_bucket{le="10"} 4
h_bucket{le="+Inf"} 5
)");
}

TEST(ExpositionTest, LabelsAreEscaped) {
  Exposition out;
  out.gauge("g", "Goes.", {{"type", "a\"b\\c\nd"}}, 1);
  EXPECT_NE(out.text().find(R"(g{type="a\"b\\c\nd"} 1)"), std::string::npos) << out.text();
}

TEST(ExpositionTest, AFamilyHasOneKind) {
  Exposition out;
  out.gauge("g", "Goes.", {}, 1);
  out.counter("g", "Counts.", {}, 2);
  EXPECT_EQ(out.text(), "# HELP g Goes.\n# TYPE g gauge\ng 1\n");
}

}  // namespace
}  // namespace postern::observe
