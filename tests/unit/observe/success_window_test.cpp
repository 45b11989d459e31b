#include "core/observe/success_window.h"

#include <gtest/gtest.h>

namespace postern::observe {
namespace {

constexpr int64_t kWindowMs = 300'000;

TEST(SuccessWindowTest, NothingRanMeansNothingFailed) {
  SuccessWindow window(kWindowMs);
  EXPECT_EQ(window.look(0, 0, 0).share(), 1);
  EXPECT_EQ(window.look(10 * kWindowMs, 0, 0).share(), 1);
}

TEST(SuccessWindowTest, CountsWhatRanBeforeTheFirstLook) {
  SuccessWindow window(kWindowMs);
  EXPECT_EQ(window.look(0, 1, 3).share(), 0.25);
}

TEST(SuccessWindowTest, ForgetsWhatIsOlderThanTheWindow) {
  SuccessWindow window(kWindowMs);
  int64_t now = 0;
  for (; now <= 60'000; now += 1'000) window.look(now, 0, static_cast<uint64_t>(now / 1'000));  // 60 failures in the first minute
  auto seen = window.look(now, 0, 60);
  EXPECT_EQ(seen.failed, 60u);
  EXPECT_EQ(seen.share(), 0);
  for (; now < kWindowMs; now += 1'000) seen = window.look(now, 0, 60);
  EXPECT_EQ(seen.failed, 60u) << "all within the window";
  seen = window.look(kWindowMs + 30'000, 0, 60);
  EXPECT_NEAR(static_cast<double>(seen.failed), 30, 4) << "half of them are out of it";
  seen = window.look(kWindowMs + 65'000, 0, 60);
  EXPECT_EQ(seen.failed, 0u);
  EXPECT_EQ(seen.share(), 1);
  EXPECT_EQ(window.look(kWindowMs + 66'000, 3, 61).share(), 0.75);
}

TEST(SuccessWindowTest, ABreakBetweenLooksHidesNothing) {
  SuccessWindow window(kWindowMs);
  window.look(0, 0, 0);
  EXPECT_EQ(window.look(10 * kWindowMs, 0, 5).failed, 5u) << "some of it may be within the window: better told than hidden";
}

TEST(SuccessWindowTest, KeepsAHundredOrSoLooks) {
  for (int64_t length : {int64_t{1'000}, kWindowMs, int64_t{86'400'000}}) {
    SuccessWindow window(length);
    for (int64_t now = 0; now < 3 * length; now += std::max<int64_t>(1, length / 10'000)) {
      window.look(now, 0, 0);
      ASSERT_LE(window.kept(), 103u);
    }
  }
}

}  // namespace
}  // namespace postern::observe
