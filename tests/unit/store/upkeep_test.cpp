// Replays, drops and removals: what they change, what they leave alone, and what a crash between two steps leaves.
#include "core/store/upkeep.h"

#include <gmock/gmock.h>

#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using testing::new_event;
using testing::Sql;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = Settlement::Kind;

constexpr int64_t kFar = INT64_MAX;

class UpkeepTest : public testing::StoreTest {
 protected:
  UpkeepTest() { open(); }

  // An event whose only delivery ended so.
  int64_t put_settled(uint64_t number, Kind kind, uint32_t attempts = 1) {
    int64_t delivery = put_delivery(number);
    EXPECT_TRUE(settle(testing::settlement(delivery, kind, attempts))->status.is_ok());
    return delivery;
  }
  Job add(JobKind kind, Selection selection = {}, std::vector<int64_t> deliveries = {}) {
    NewJob wanted;
    wanted.kind = kind;
    wanted.selection = std::move(selection);
    wanted.deliveries = std::move(deliveries);
    auto job = store_->add_job(wanted);
    EXPECT_TRUE(job.is_ok()) << job.status().message();
    return *job;
  }
  Advanced advance(int64_t job, std::vector<int64_t> deliveries, bool finished = false) {
    Advance by;
    for (int64_t d : deliveries) by.items.push_back({d, false});
    by.cursor = deliveries.empty() ? 0 : deliveries.back();
    by.finished = finished;
    auto done = store_->advance(job, by);
    EXPECT_TRUE(done.is_ok()) << done.status().message();
    return *done;
  }
  std::string state_of(int64_t delivery) { return one("SELECT state FROM delivery WHERE seq = " + std::to_string(delivery)); }
  std::vector<int64_t> found(const Selection& selection, bool settled = false) {
    std::vector<int64_t> seqs;
    auto found = store_->find(selection, settled, {});
    for (const DeliveryRow& row : found->rows) seqs.push_back(row.seq);
    return seqs;
  }
  // A cutoff that everything is older than.
  static Cutoff all(bool dead_too = false) { return {kFar, dead_too ? kFar : 0}; }
  size_t pruned(const Cutoff& cutoff) {
    auto prunable = store_->prunable(cutoff, {});
    EXPECT_TRUE(prunable.is_ok());
    return store_->prune(cutoff, prunable->events)->events;
  }
  void let_windows_pass() {
    close();
    Sql(path(), false).run("UPDATE event SET dedupe_until = 1");
    open();
  }
};

TEST_F(UpkeepTest, QueuesTheDeadAgain) {
  int64_t dead = put_settled(1, Kind::kDead, 3);
  ASSERT_EQ(store_->counters().dead, 1u);
  Advanced step = advance(add(JobKind::kReplay).id, {dead}, true);
  EXPECT_EQ(step.handled, 1u);
  EXPECT_EQ(step.job.done, 1u);
  EXPECT_EQ(step.job.state, JobState::kDone);
  ASSERT_EQ(step.queued.size(), 1u);
  EXPECT_EQ(step.queued[0].seq, dead);
  EXPECT_EQ(step.queued[0].provider, "acme");
  EXPECT_EQ(step.queued[0].attempts, 0u);
  EXPECT_EQ(state_of(dead), "queued");
  EXPECT_EQ(store_->counters().dead, 0u);
  EXPECT_EQ(store_->counters().open, 1u);
  EXPECT_EQ(one("SELECT attempts FROM delivery"), "0");
}

TEST_F(UpkeepTest, KeepsTheAttemptsBeforeAReplay) {
  int64_t delivery = put_delivery(1);
  settle(testing::settlement(delivery, Kind::kRetry, 1));
  settle(testing::settlement(delivery, Kind::kDead, 2));
  advance(add(JobKind::kReplay).id, {delivery}, true);
  settle(testing::settlement(delivery, Kind::kDead, 1));
  EXPECT_THAT(Sql(path()).rows("SELECT n FROM attempt ORDER BY n"), ElementsAre("1", "2", "3"));
}

// Both marks of what is open are right afterwards, however old what was replayed is.
TEST_F(UpkeepTest, FindsTheReplayedAgainAfterARestart) {
  int64_t dead = put_settled(1, Kind::kDead);
  constexpr uint64_t kMany = 1500;
  testing::Committed committed;
  settled_.deliveries.take();
  for (uint64_t n = 2; n < kMany; ++n) store_->submit(testing::pending(new_event(n, {{"acme", "handlers"}}), committed));
  ASSERT_TRUE(settled_.deliveries.wait_for(kMany - 2));
  for (const OpenDelivery& d : settled_.deliveries.take()) store_->submit_settlement(testing::settlement(d.seq, Kind::kDone));
  ASSERT_TRUE(settled_.settlements.wait_for(kMany - 2));
  settled_.settlements.take();
  ASSERT_GT(std::stoll(one("SELECT value FROM meta WHERE name = 'delivery_open_seq'")), dead);
  int64_t newer = put_delivery(2000);
  advance(add(JobKind::kReplay).id, {dead}, true);
  restart();
  EXPECT_EQ(store_->counters().open, 2u);
  auto replayed = store_->replayed_deliveries(0, 10);
  ASSERT_EQ(replayed->size(), 1u);
  EXPECT_EQ(replayed->front().seq, dead);
  EXPECT_NEAR(static_cast<double>(replayed->front().replayed_at), static_cast<double>(wall_ms()), 60'000);
  EXPECT_TRUE(store_->replayed_deliveries(dead, 10)->empty());
  auto open = open_deliveries(0, 10);
  ASSERT_EQ(open->size(), 1u) << "each in one place";
  EXPECT_EQ(open->front().seq, newer);
  DeliveryFilter queued;
  queued.state = "queued";
  EXPECT_EQ(store_->deliveries(queued)->size(), 2u);
  EXPECT_TRUE(settle(testing::settlement(dead, Kind::kDone))->status.is_ok());
  EXPECT_TRUE(store_->replayed_deliveries(0, 10)->empty());
}

TEST_F(UpkeepTest, LeavesAloneWhatIsNotSettled) {
  int64_t queued = put_delivery(1);
  int64_t done = put_settled(2, Kind::kDone);
  Advanced step = advance(add(JobKind::kReplay).id, {queued, done, 4711}, true);
  EXPECT_EQ(step.job.done, 0u);
  EXPECT_EQ(step.job.skipped, 3u);
  EXPECT_TRUE(step.queued.empty());
  EXPECT_EQ(state_of(queued), "queued");
  EXPECT_EQ(state_of(done), "done");
  EXPECT_EQ(one("SELECT count(*) FROM delivery WHERE replayed_at IS NOT NULL"), "0");
}

TEST_F(UpkeepTest, RerunsWhatIsDone) {
  int64_t done = put_settled(1, Kind::kDone);
  int64_t open = put_delivery(2);
  Advanced step = advance(add(JobKind::kRerun).id, {done, open}, true);
  EXPECT_EQ(step.job.done, 1u);
  EXPECT_EQ(step.job.skipped, 1u);
  EXPECT_EQ(state_of(done), "queued");
  EXPECT_EQ(store_->counters().open, 2u);
  EXPECT_EQ(store_->counters().dead, 0u);
}

TEST_F(UpkeepTest, DropsForGood) {
  int64_t dead = put_settled(1, Kind::kDead);
  int64_t queued = put_delivery(2);
  Advanced step = advance(add(JobKind::kDrop).id, {dead, queued}, true);
  EXPECT_EQ(step.job.done, 1u);
  EXPECT_EQ(store_->counters().dead, 0u);
  EXPECT_EQ(state_of(dead), "done");
  EXPECT_EQ(state_of(queued), "queued");
  DeliveryFilter filter;
  filter.seq = dead;
  auto row = store_->deliveries(filter)->front();
  EXPECT_GT(row.dropped_at, 0);
  EXPECT_FALSE(row.last_error.empty()) << "why it had died";
  EXPECT_EQ(store_->events({})->size(), 2u) << "the event stays";
  // A drop by mistake is no loss.
  EXPECT_EQ(advance(add(JobKind::kRerun).id, {dead}, true).job.done, 1u);
  EXPECT_EQ(store_->deliveries(filter)->front().dropped_at, 0);
}

TEST_F(UpkeepTest, AJobGoesOnWhereItWas) {
  std::vector<int64_t> dead;
  for (uint64_t n = 1; n <= 5; ++n) dead.push_back(put_settled(n, Kind::kDead));
  int64_t id = add(JobKind::kReplay).id;
  advance(id, {dead[0], dead[1]});
  restart();
  auto job = store_->job(id);
  ASSERT_TRUE(job.is_ok());
  EXPECT_EQ(job->cursor, dead[1]);
  EXPECT_EQ(job->done, 2u);
  EXPECT_EQ(job->state, JobState::kRunning);
  EXPECT_EQ(job->last, dead[4]);
  ASSERT_EQ(store_->jobs(true)->size(), 1u);
  advance(id, {dead[2], dead[3], dead[4]}, true);
  EXPECT_TRUE(store_->jobs(true)->empty());
  EXPECT_EQ(store_->job(id)->done, 5u);
}

TEST_F(UpkeepTest, DoesNothingForAJobThatDoesNotRun) {
  int64_t dead = put_settled(1, Kind::kDead);
  int64_t id = add(JobKind::kReplay, {}, {dead}).id;
  EXPECT_EQ(store_->cancel_job(id)->state, JobState::kCancelled);
  Advance by;
  by.items = {{dead, false}};
  EXPECT_EQ(store_->advance(id, by).status().code(), Code::kGone);
  EXPECT_EQ(store_->advance(id + 1, by).status().code(), Code::kNotFound);
  EXPECT_EQ(store_->cancel_job(id + 1).status().code(), Code::kNotFound);
  EXPECT_EQ(state_of(dead), "dead");
  EXPECT_EQ(one("SELECT count(*) FROM job_item"), "0");
}

TEST_F(UpkeepTest, BoundsTheJobs) {
  for (int i = 0; i < 16; ++i) add(JobKind::kReplay);
  EXPECT_EQ(store_->add_job({}).status().code(), Code::kLimit);
  for (int i = 1; i <= 16; ++i) ASSERT_TRUE(store_->cancel_job(i).is_ok());
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(store_->cancel_job(add(JobKind::kReplay).id).is_ok());
  EXPECT_EQ(store_->jobs(false)->size(), 100u);
  EXPECT_EQ(store_->jobs(false)->back().id, 166);
}

TEST_F(UpkeepTest, KeepsAJobsList) {
  std::vector<int64_t> dead;
  for (uint64_t n = 1; n <= 3; ++n) dead.push_back(put_settled(n, Kind::kDead));
  Job job = add(JobKind::kReplay, {}, {dead[2], dead[0], dead[2]});
  EXPECT_TRUE(job.listed);
  EXPECT_EQ(job.total, 2u);
  restart();
  auto seqs = [&](int64_t after) {
    std::vector<int64_t> found;
    auto listed = store_->listed(job.id, after, 10);
    for (const ListedDelivery& d : *listed) {
      EXPECT_EQ(d.plugin + "/" + d.subscriber, "acme/handlers");
      found.push_back(d.seq);
    }
    return found;
  };
  EXPECT_THAT(seqs(0), ElementsAre(dead[0], dead[2]));
  EXPECT_THAT(seqs(dead[0]), ElementsAre(dead[2]));
}

TEST_F(UpkeepTest, SelectsByWhatIsAsked) {
  auto put_dead = [&](uint64_t number, const std::string& type, const std::string& plugin, const std::string& error, int64_t died) {
    settled_.deliveries.take();
    ingest::NewEvent event = new_event(number, {{plugin, "handlers"}});
    event.type = type;
    put(std::move(event));
    EXPECT_TRUE(settled_.deliveries.wait_for(1));
    int64_t delivery = settled_.deliveries.take().front().seq;
    auto s = testing::settlement(delivery, Kind::kDead);
    s->detail = error;
    settle(std::move(s));
    Sql(path(), false).run("UPDATE delivery SET settled_at = " + std::to_string(died) + " WHERE seq = " + std::to_string(delivery));
    return delivery;
  };
  int64_t a = put_dead(1, "acme.call.ended", "acme", "Connection refused", 1000);
  int64_t b = put_dead(2, "acme.message.made", "smtp", "550 no such user", 2000);
  int64_t c = put_dead(3, "acme.message.lost", "acme", "the handler timed out", 3000);
  put_settled(4, Kind::kDone);
  EXPECT_THAT(found({}), ElementsAre(a, b, c));
  EXPECT_THAT(found({.plugin = "smtp"}), ElementsAre(b));
  EXPECT_THAT(found({.type = "acme.message.*"}), ElementsAre(b, c));
  EXPECT_THAT(found({.type = "[a]*"}), ElementsAre()) << "only * stands for something";
  EXPECT_THAT(found({.error = "connection REFUSED"}), ElementsAre(a));
  EXPECT_THAT(found({.since = 2000}), ElementsAre(b, c));
  EXPECT_THAT(found({.until = 2000}), ElementsAre(a));
  EXPECT_THAT(found({.plugin = "acme", .type = "acme.message.*", .since = 2500, .error = "timed"}), ElementsAre(c));
  EXPECT_EQ(found({}, true).size(), 4u);

  Scan page;
  page.limit = 1;
  page.newest_first = true;
  auto newest = store_->find({}, false, page);
  EXPECT_EQ(newest->rows.front().seq, c);
  page.after = newest->next;
  EXPECT_EQ(store_->find({}, false, page)->rows.front().seq, b);
  Scan count;
  count.limit = 1;
  count.count_on = true;
  auto counted = store_->find({}, false, count);
  EXPECT_EQ(counted->matched, 3u);
  EXPECT_EQ(counted->rows.size(), 1u);
  EXPECT_EQ(counted->next, 0);
  Scan upto;
  upto.after = a;
  upto.last = b;
  EXPECT_EQ(store_->find({}, false, upto)->matched, 1u);
}

// ---- removal

TEST_F(UpkeepTest, RemovesSettledEventsWhole) {
  int64_t delivery = put_delivery(1);
  settle(testing::settlement(delivery, Kind::kRetry, 1));
  settle(testing::settlement(delivery, Kind::kDone, 2));
  put(new_event(2));
  int64_t open = put_delivery(3);
  int64_t dead = put_settled(4, Kind::kDead);
  let_windows_pass();
  EXPECT_EQ(pruned(all()), 2u);
  EXPECT_THAT(Sql(path()).rows("SELECT seq FROM event ORDER BY seq"), ElementsAre("3", "4"));
  EXPECT_THAT(Sql(path()).rows("SELECT seq FROM delivery ORDER BY seq"), ElementsAre(std::to_string(open), std::to_string(dead)));
  EXPECT_EQ(one("SELECT count(*) FROM attempt WHERE delivery = " + std::to_string(delivery)), "0");
  EXPECT_EQ(store_->counters().dead, 1u);
  EXPECT_EQ(pruned(all(true)), 1u) << "the dead one";
  EXPECT_EQ(store_->counters().dead, 0u);
  EXPECT_EQ(one("SELECT count(*) FROM attempt"), "0");
  EXPECT_EQ(state_of(open), "queued");
}

TEST_F(UpkeepTest, RemovesWhatIsOldOnly) {
  for (uint64_t n = 1; n <= 3; ++n) put_settled(n, Kind::kDone);
  let_windows_pass();
  Sql(path(), false).run("UPDATE event SET received_at = 1000 * seq");
  EXPECT_EQ(pruned({2000, 0}), 1u);
  EXPECT_EQ(one("SELECT min(seq) FROM event"), "2");
}

// Its key is nowhere else yet.
TEST_F(UpkeepTest, KeepsAnEventThatRemembersItsKey) {
  put_settled(1, Kind::kDone);
  EXPECT_TRUE(store_->prunable(all(), {})->events.empty());
  EXPECT_EQ(store_->prune(all(), {1})->events, 0u) << "looked at again where it is removed";
  restart();
  EXPECT_EQ(put(new_event(1))->outcome, ingest::Outcome::kDuplicate);
}

TEST_F(UpkeepTest, AKeyOutlivesItsEvent) {
  put_settled(1, Kind::kDone);
  int64_t kept = put_settled(2, Kind::kDone);
  std::string id = one("SELECT id FROM event WHERE seq = 1");
  close();
  // As a merge would have left it.
  Sql(path(), false)
      .run("INSERT INTO dedupe SELECT 1, dedupe_key, id, dedupe_until FROM event WHERE seq = 1;"
           "UPDATE meta SET value = 1 WHERE name = 'dedupe_merged_seq'");
  open();
  EXPECT_EQ(pruned(all()), 1u);
  EXPECT_EQ(state_of(kept), "done");
  for (int i = 0; i < 2; ++i) {
    auto again = put(new_event(1));
    EXPECT_EQ(again->outcome, ingest::Outcome::kDuplicate);
    EXPECT_EQ(again->event_id, id);
    restart();
  }
}

TEST_F(UpkeepTest, NeverUsesANumberTwice) {
  int64_t last = put_settled(1, Kind::kDone);
  let_windows_pass();
  EXPECT_EQ(pruned(all()), 1u);
  EXPECT_EQ(one("SELECT count(*) FROM event"), "0");
  restart();
  EXPECT_GT(put_delivery(2), last);
  EXPECT_EQ(one("SELECT seq FROM event"), "2");
}

TEST_F(UpkeepTest, AnEventThatIsReplayedStays) {
  int64_t done = put_settled(1, Kind::kDone);
  let_windows_pass();
  auto prunable = store_->prunable(all(), {});
  ASSERT_EQ(prunable->events.size(), 1u);
  advance(add(JobKind::kRerun).id, {done}, true);
  EXPECT_EQ(store_->prune(all(), prunable->events)->events, 0u);
  EXPECT_EQ(state_of(done), "queued");
}

TEST_F(UpkeepTest, GivesFreeSpaceBack) {
  ingest::NewEvent large = new_event(1);
  large.body = std::string(1 << 20, 'x');
  put(large);
  let_windows_pass();
  ASSERT_EQ(pruned(all()), 1u);
  StoreSize before = *store_->size();
  ASSERT_GT(before.free_bytes, 1u << 20);
  EXPECT_TRUE(store_->shrink(before.free_bytes / 2).is_ok());
  StoreSize after = *store_->size();
  EXPECT_LT(after.free_bytes, before.free_bytes * 2 / 3);
  EXPECT_GT(after.free_bytes, 0u) << "no more than was asked for";
  EXPECT_EQ(after.used_bytes / 100'000, before.used_bytes / 100'000);
  EXPECT_EQ(one("PRAGMA integrity_check"), "ok");
}

TEST_F(UpkeepTest, EndsWhenTheStoreStops) {
  store_->stop();
  EXPECT_EQ(store_->add_job({}).status().code(), Code::kUnavailable);
  EXPECT_EQ(store_->prune(all(), {1}).status().code(), Code::kUnavailable);
}

// Events and steps in one batch: both are there, and a step in between spoils nothing.
TEST_F(UpkeepTest, GoesOnBesideEvents) {
  std::vector<int64_t> dead;
  for (uint64_t n = 1; n <= 50; ++n) dead.push_back(put_settled(n, Kind::kDead));
  int64_t id = add(JobKind::kReplay).id;
  testing::Committed committed;
  for (uint64_t n = 100; n < 300; ++n) store_->submit(testing::pending(new_event(n), committed));
  size_t handled = 0;
  while (handled < dead.size()) {
    Advanced step = advance(id, {dead.begin() + static_cast<ptrdiff_t>(handled), dead.end()});
    ASSERT_GT(step.handled, 0u);
    EXPECT_EQ(step.job.cursor, dead[handled + step.handled - 1]);
    handled += step.handled;
  }
  ASSERT_TRUE(committed.events.wait_for(200));
  EXPECT_EQ(store_->counters().dead, 0u);
  EXPECT_EQ(store_->counters().open, 50u);
}

}  // namespace
}  // namespace postern::store
