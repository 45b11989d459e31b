#include "core/dispatch/crash_attempt.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/clock.h"

namespace postern::dispatch {
namespace {

using Kind = store::Settlement::Kind;

class CrashAttemptTest : public ::testing::Test {
 protected:
  CrashAttemptTest() {
    delivery_.seq = 7;
    delivery_.event = 3;
    delivery_.plugin = "acme";
    delivery_.subscriber = "handlers";
    delivery_.state = "queued";
    event_.seq = 3;
    event_.id = "evt_x";
    event_.provider = "acme";
    event_.type = "acme.thing.made";
    crash_.signal = "SIGSEGV";
    crash_.place = "acme.so+0x10";
    crash_.delivery = 7;
    policies_.retry = {5, config::milliseconds(1000), 2, config::milliseconds(60'000), 0};
  }
  std::unique_ptr<store::Settlement> settle(uint32_t earlier) {
    return settle_crash(delivery_, event_, crash_, earlier, policies_, roster_);
  }

  store::DeliveryRow delivery_;
  store::StoredEvent event_;
  store::Crash crash_;
  config::Policies policies_;
  Roster roster_;
};

TEST_F(CrashAttemptTest, TheFirstIsAnAttemptAndIsTriedAgain) {
  delivery_.attempts = 1;
  int64_t now = wall_ms();
  auto settlement = settle(0);
  ASSERT_TRUE(settlement);
  EXPECT_EQ(settlement->kind, Kind::kRetry);
  EXPECT_EQ(settlement->delivery, 7);
  EXPECT_EQ(settlement->event, 3);
  EXPECT_EQ(settlement->plugin, "acme");
  EXPECT_EQ(settlement->attempts, 2u);
  EXPECT_EQ(settlement->outcome, "crash");
  EXPECT_EQ(settlement->detail, "the gateway crashed in it: SIGSEGV in acme.so+0x10");
  EXPECT_GE(settlement->due_at, now + 2000);
  EXPECT_LE(settlement->due_at, wall_ms() + 2000);
}

TEST_F(CrashAttemptTest, WithTheLastOneItIsDead) {
  auto settlement = settle(1);
  ASSERT_TRUE(settlement);
  EXPECT_EQ(settlement->kind, Kind::kDead);
  EXPECT_TRUE(settlement->emitted.empty());
  policies_.crash_attempts = 3;
  EXPECT_EQ(settle(1)->kind, Kind::kRetry);
  EXPECT_EQ(settle(2)->kind, Kind::kDead);
}

TEST_F(CrashAttemptTest, ItCountsAmongAllAttempts) {
  delivery_.attempts = 4;  // of 5
  EXPECT_EQ(settle(0)->kind, Kind::kDead);
}

TEST_F(CrashAttemptTest, OneThatIsSettledStaysSo) {
  delivery_.state = "done";
  EXPECT_EQ(settle(0), nullptr);
  delivery_.state = "dead";
  EXPECT_EQ(settle(0), nullptr);
}

TEST_F(CrashAttemptTest, SomebodyHearsOfADeathThatIsCritical) {
  roster_.critical.mark("acme", "*", true);
  roster_.targets.add_subscription("mail", "oncall", kDeliveryDead);
  EXPECT_TRUE(settle(0)->emitted.empty());
  auto settlement = settle(1);
  ASSERT_EQ(settlement->emitted.size(), 1u);
  const ingest::NewEvent& notice = settlement->emitted.front();
  EXPECT_EQ(notice.type, kDeliveryDead);
  EXPECT_EQ(notice.external_id, "dlv_7/0");
  ASSERT_TRUE(notice.targets);
  EXPECT_EQ(notice.targets->size(), 1u);
  EXPECT_GT(notice.received_at, 0);
  auto body = nlohmann::json::parse(notice.body);
  EXPECT_EQ(body["last_error"], "the gateway crashed in it: SIGSEGV in acme.so+0x10");
}

}  // namespace
}  // namespace postern::dispatch
