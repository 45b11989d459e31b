// What is critical, and what is told when such a delivery dies.
#include "core/dispatch/critical_types.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/dispatch/dispatcher_harness.h"

namespace postern::dispatch {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = store::Settlement::Kind;

TEST(CriticalTypesTest, TheLastMarkThatMatchesCounts) {
  CriticalTypes types;
  EXPECT_FALSE(types.contains("acme", "acme.message.received"));
  types.mark("acme", "message.*", true);
  EXPECT_TRUE(types.contains("acme", "acme.message.received"));
  EXPECT_TRUE(types.contains("acme", "message.received")) << "an emitted type is used as given";
  EXPECT_FALSE(types.contains("acme", "acme.call.ended"));
  EXPECT_FALSE(types.contains("other", "other.message.received"));
  types.mark("acme", "acme.message.sent", false);
  EXPECT_FALSE(types.contains("acme", "acme.message.sent"));
  EXPECT_TRUE(types.contains("acme", "acme.message.received"));
}

TEST(DeathNoticeTest, TellsWhichAndWhyAndNothingOfTheContent) {
  store::StoredEvent event;
  event.id = "evt_1";
  event.provider = "acme";
  event.type = "acme.thing.made";
  event.order_key = "k";
  event.depth = 3;
  event.body = R"({"private":"hush"})";
  event.headers = "X-Private: hush\r\n";
  store::Settlement death;
  death.delivery = 7;
  death.plugin = "acme";
  death.attempts = 5;
  death.detail = "not \xff UTF-8";
  ingest::NewEvent notice = death_notice(death, event, "handlers");
  EXPECT_EQ(notice.provider, "postern");
  EXPECT_EQ(notice.type, "postern.delivery.dead");
  EXPECT_EQ(notice.order_key, "k");
  EXPECT_EQ(notice.depth, 4u);
  EXPECT_EQ(notice.body.find("hush"), std::string::npos);
  auto body = nlohmann::json::parse(notice.body);
  EXPECT_EQ(body.at("delivery"), 7);
  EXPECT_EQ(body.at("event_id"), "evt_1");
  EXPECT_EQ(body.at("type"), "acme.thing.made");
  EXPECT_EQ(body.at("subscriber"), "handlers");
  EXPECT_EQ(body.at("attempts"), 5);
  EXPECT_EQ(body.at("last_error").get<std::string>().substr(0, 4), "not ");
}

class CriticalDeliveryTest : public testing::DispatcherHarness {
 protected:
  CriticalDeliveryTest() {
    targets_.add_subscription("acme", "alert", kDeliveryDead);
    own().handle = [](Delivery&) -> HandlerResult { return {HandlerOutcome::kDead, "no such customer"}; };
  }
  testing::FakeStore::Seen death() {
    store_.add("k");
    start();
    EXPECT_TRUE(store_.wait_for_seen(1));
    return store_.seen().at(0);
  }
};

TEST_F(CriticalDeliveryTest, ADeathIsToldWithItsSettlement) {
  critical_.mark("acme", "thing.made", true);
  auto seen = death();
  EXPECT_EQ(seen.kind, Kind::kDead);
  ASSERT_THAT(seen.emitted, SizeIs(1));
  EXPECT_EQ(seen.emitted[0].type, kDeliveryDead);
  ASSERT_THAT(*seen.emitted[0].targets, SizeIs(1));
  EXPECT_EQ(seen.emitted[0].targets->at(0).subscriber, "alert");
  EXPECT_NE(seen.emitted[0].external_id, "");
}

TEST_F(CriticalDeliveryTest, OthersDieInSilence) { EXPECT_THAT(death().emitted, IsEmpty()); }

TEST_F(CriticalDeliveryTest, AFailureThatIsRetriedIsNoDeath) {
  critical_.mark("acme", "*", true);
  own().policies.retry.attempts = 3;
  own().handle = [](Delivery& d) -> HandlerResult {
    if (d.attempt() < 3) return {HandlerOutcome::kRetry, "busy"};
    return {};
  };
  store_.add();
  start();
  ASSERT_TRUE(store_.wait_for_seen(3));
  for (const auto& seen : store_.seen()) EXPECT_THAT(seen.emitted, IsEmpty());
}

}  // namespace
}  // namespace postern::dispatch
