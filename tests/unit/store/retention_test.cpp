// Retention over a real store: by age, by size, and what it never touches.
#include "core/store/retention.h"

#include <gmock/gmock.h>

#include "tests/support/eventually.h"
#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using postern::testing::eventually;
using postern::testing::milliseconds;
using testing::new_event;
using Kind = Settlement::Kind;

constexpr milliseconds kSoon{30000};

class RetentionTest : public testing::StoreTest {
 protected:
  RetentionTest() { open(); }
  ~RetentionTest() override { retention_.reset(); }

  void run(Retention::Policy policy) {
    policy.look_every = milliseconds(20);
    retention_ = std::make_unique<Retention>(*store_, policy);
    retention_->start();
  }
  void change(const std::string& sql) {
    close();
    testing::Sql(path(), false).run(sql);
    open();
  }
  std::string events() { return one("SELECT count(*) FROM event"); }

  std::unique_ptr<Retention> retention_;
};

TEST_F(RetentionTest, RemovesByAge) {
  for (uint64_t n = 1; n <= 500; ++n) put(new_event(n));
  put_delivery(501);
  settle(testing::settlement(put_delivery(502), Kind::kDead));
  change("UPDATE event SET dedupe_until = 1; UPDATE event SET received_at = 1000 WHERE seq > 250");
  Retention::Policy policy;
  policy.age = std::chrono::hours(1);
  run(policy);
  ASSERT_TRUE(eventually(kSoon, [&] { return retention_->removed() == 250; }));
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(retention_->removed(), 250u);
  EXPECT_EQ(events(), "252") << "the young ones, an open one and a dead one";
}

TEST_F(RetentionTest, TheDeadHaveTheirOwnAge) {
  settle(testing::settlement(put_delivery(1), Kind::kDead));
  settle(testing::settlement(put_delivery(2), Kind::kDead));
  change("UPDATE event SET dedupe_until = 1, received_at = 1000; UPDATE delivery SET settled_at = 1000 WHERE seq = 1");
  Retention::Policy policy;
  policy.age = std::chrono::hours(1);
  policy.dead = std::chrono::hours(2);
  run(policy);
  ASSERT_TRUE(eventually(kSoon, [&] { return retention_->removed() == 1; }));
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(one("SELECT seq FROM delivery"), "2");
  EXPECT_EQ(store_->counters().dead, 1u);
}

TEST_F(RetentionTest, KeepsTheStoreToItsSize) {
  ingest::NewEvent large = new_event(1);
  for (uint64_t n = 1; n <= 60; ++n) {
    large = new_event(n);
    large.body = std::string(100'000, 'x');
    put(large);
  }
  change("UPDATE event SET dedupe_until = 1");
  ASSERT_GT(store_->size()->used_bytes, 6'000'000u);
  Retention::Policy policy;
  policy.size = 3'000'000;
  run(policy);
  ASSERT_TRUE(eventually(kSoon, [&] { return store_->size()->used_bytes <= 2'850'000; }));
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(one("SELECT max(seq) FROM event"), "60") << "the oldest go first";
  EXPECT_GT(std::stoi(events()), 0) << "the newest stay";
}

TEST_F(RetentionTest, WithoutBoundsItKeepsAll) {
  put(new_event(1));
  change("UPDATE event SET dedupe_until = 1, received_at = 1000");
  run({});
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(events(), "1");
}

}  // namespace
}  // namespace postern::store
