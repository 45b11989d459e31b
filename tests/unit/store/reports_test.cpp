// What a store counts for people: by provider, within a time.
#include "tests/unit/store/settlement_harness.h"

namespace postern::store {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::new_event;

constexpr int64_t kDay = 24 * 3'600'000;

class ReportsTest : public SettlementTest {
 protected:
  int64_t add(uint64_t number, const std::string& provider, int64_t received_at, std::vector<ingest::Target> to = {}) {
    ingest::NewEvent event = new_event(number, std::move(to));
    event.provider = provider;
    event.type = provider + ".made";
    event.received_at = received_at;
    auto stored = put(std::move(event));
    EXPECT_EQ(stored->outcome, ingest::Outcome::kStored);
    return stored->seq;
  }
  std::vector<ProviderReport> report(int64_t from, int64_t to) {
    auto found = store_->by_provider(from, to);
    EXPECT_TRUE(found.is_ok()) << found.status().message();
    return found.is_ok() ? *found : std::vector<ProviderReport>();
  }
};

TEST_F(ReportsTest, NothingIsNothing) {
  EXPECT_THAT(report(0, wall_ms() + kDay), IsEmpty());
  add(1, "acme", wall_ms());
  EXPECT_THAT(report(0, 1), IsEmpty());
}

TEST_F(ReportsTest, EventsOfATimeAndWhatBecameOfThem) {
  const int64_t now = wall_ms();
  add(1, "acme", now - 3 * kDay, {{"p", "handlers"}});
  add(2, "acme", now - kDay, {{"p", "handlers"}, {"q", "office"}});
  add(3, "acme", now - kDay + 1, {{"p", "handlers"}});
  add(4, "beta", now - kDay + 2);
  add(5, "acme", now, {{"p", "handlers"}});
  settle(testing::settlement(1, Kind::kDone));
  settle(testing::settlement(2, Kind::kDone));
  settle(testing::settlement(3, Kind::kDead));
  auto found = report(now - kDay, now);
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].provider, "acme");
  EXPECT_EQ(found[0].received, 2u);
  EXPECT_EQ(found[0].done, 1u);
  EXPECT_EQ(found[0].dead, 1u);
  EXPECT_EQ(found[0].waiting, 1u);
  EXPECT_GE(found[0].slowest_ms, kDay) << "since it came";
  EXPECT_EQ(found[0].slowest_type, "acme.made");
  EXPECT_EQ(found[0].slowest_event.substr(0, 4), "evt_");
  EXPECT_EQ(found[1].provider, "beta");
  EXPECT_EQ(found[1].received, 1u);
  EXPECT_EQ(found[1].done + found[1].dead + found[1].waiting, 0u);
  EXPECT_THAT(report(now - kDay + 1, now - kDay + 2), SizeIs(1));
  EXPECT_EQ(report(0, now + 1)[0].received, 4u);
}

TEST_F(ReportsTest, MoreThanAPage) {
  const int64_t now = wall_ms();
  constexpr uint64_t kEvents = 45'000;
  testing::Committed committed;
  for (uint64_t i = 0; i < kEvents; ++i) {
    ingest::NewEvent event = new_event(i + 1);
    event.received_at = now - static_cast<int64_t>(kEvents - i);  // one each millisecond
    store_->submit(testing::pending(std::move(event), committed));
  }
  ASSERT_TRUE(committed.events.wait_for(kEvents));
  auto found = report(now - 30'000, now);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].received, 30'000u);
  EXPECT_EQ(report(0, now - 40'000)[0].received, 5'000u);
}

}  // namespace
}  // namespace postern::store
