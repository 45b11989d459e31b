// JobRunner over a real store: every matching delivery comes to the dispatcher once, at its rate, with room, across restarts.
#include "core/dispatch/job_runner.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <mutex>

#include "tests/support/eventually.h"
#include "tests/unit/store/store_support.h"

namespace postern::dispatch {
namespace {

using postern::testing::eventually;
using postern::testing::milliseconds;
using store::JobKind;
using store::JobState;
using Kind = store::Settlement::Kind;

constexpr milliseconds kSoon{30000};

// Keeps what comes. Thread-safety: any thread.
class Taken final : public ReplayTarget {
 public:
  bool has_subscriber(const std::string&, const std::string& name) override { return name != "gone"; }
  size_t room(const std::string&, const std::string& subscriber) override { return subscriber == "full" && full_ ? 0 : room_.load(); }
  void requeue(std::vector<store::OpenDelivery> deliveries) override {
    std::lock_guard lock(mutex_);
    most_ = std::max(most_, deliveries.size());
    for (const auto& d : deliveries) ++times_[d.seq];
  }

  void set_room(size_t room) { room_ = room; }
  void empty_the_full_one() { full_ = false; }
  std::map<int64_t, int> times() {
    std::lock_guard lock(mutex_);
    return times_;
  }
  size_t count() { return times().size(); }
  size_t most_at_once() {
    std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  std::atomic<size_t> room_{100'000};
  std::atomic<bool> full_{true};
  std::mutex mutex_;
  std::map<int64_t, int> times_;
  size_t most_ = 0;
};

// The store, which cannot take what a job has come to a few times.
class Refusing final : public store::Upkeep {
 public:
  Refusing(store::Upkeep& store, int times) : store_(store), times_(times) {}
  int refused() const { return refused_; }

  Result<store::Advanced> advance(int64_t job, const store::Advance& by) override {
    if (refused_ >= times_) return store_.advance(job, by);
    ++refused_;
    return Status(Code::kUnavailable, "the disk is full");
  }
  Result<store::Found> find(const store::Selection& selection, bool settled, const store::Scan& scan) override {
    return store_.find(selection, settled, scan);
  }
  Result<store::Job> add_job(const store::NewJob& job) override { return store_.add_job(job); }
  Result<std::vector<store::Job>> jobs(bool running_only) override { return store_.jobs(running_only); }
  Result<store::Job> job(int64_t id) override { return store_.job(id); }
  Result<std::vector<store::ListedDelivery>> listed(int64_t job, int64_t after, size_t limit) override {
    return store_.listed(job, after, limit);
  }
  Result<store::Job> cancel_job(int64_t id) override { return store_.cancel_job(id); }
  Result<std::vector<store::OpenDelivery>> replayed_deliveries(int64_t after, size_t limit) override {
    return store_.replayed_deliveries(after, limit);
  }
  Result<Prunable> prunable(const store::Cutoff& cutoff, const store::Scan& scan) override { return store_.prunable(cutoff, scan); }
  Result<store::Removed> prune(const store::Cutoff& cutoff, const std::vector<int64_t>& events) override {
    return store_.prune(cutoff, events);
  }
  Result<store::StoreSize> size() override { return store_.size(); }
  Status shrink(uint64_t bytes) override { return store_.shrink(bytes); }

 private:
  store::Upkeep& store_;
  const int times_;
  std::atomic<int> refused_{0};
};

class JobRunnerTest : public store::testing::StoreTest {
 protected:
  JobRunnerTest() { open(); }
  ~JobRunnerTest() override { runner_.reset(); }

  int64_t put_dead(uint64_t number, const std::string& subscriber = "handlers") {
    settled_.deliveries.take();
    put(store::testing::new_event(number, {{"acme", subscriber}}));
    EXPECT_TRUE(settled_.deliveries.wait_for(1));
    int64_t delivery = settled_.deliveries.take().front().seq;
    settle(store::testing::settlement(delivery, Kind::kDead));
    return delivery;
  }
  void run(Taken& target) {
    runner_ = std::make_unique<JobRunner>(*store_, target);
    runner_->start();
  }
  void run_on_a_store_that_refuses(int times) {
    refusing_ = std::make_unique<Refusing>(*store_, times);
    runner_ = std::make_unique<JobRunner>(*refusing_, taken_);
    runner_->start();
  }
  int64_t add(JobKind kind, uint32_t rate = 100'000, store::Selection selection = {}, std::vector<int64_t> deliveries = {}) {
    store::NewJob wanted;
    wanted.kind = kind;
    wanted.rate = rate;
    wanted.selection = std::move(selection);
    wanted.deliveries = std::move(deliveries);
    auto job = store_->add_job(wanted);
    EXPECT_TRUE(job.is_ok());
    if (runner_) runner_->nudge();
    return job->id;
  }
  store::Job job(int64_t id) { return *store_->job(id); }
  bool ends(int64_t id) {
    return eventually(kSoon, [&] { return job(id).state != JobState::kRunning; });
  }

  Taken taken_, another_;  // they outlive the runner
  std::unique_ptr<Refusing> refusing_;
  std::unique_ptr<JobRunner> runner_;
};

TEST_F(JobRunnerTest, BringsAllToTheDispatcherOnce) {
  for (uint64_t n = 1; n <= 500; ++n) put_dead(n);
  run(taken_);
  int64_t id = add(JobKind::kReplay);
  ASSERT_TRUE(ends(id));
  EXPECT_EQ(job(id).done, 500u);
  EXPECT_EQ(job(id).total, 500u);
  EXPECT_TRUE(eventually(kSoon, [&] { return taken_.count() == 500; })) << "told as soon as it is durable";
  for (const auto& [seq, times] : taken_.times()) EXPECT_EQ(times, 1) << seq;
  EXPECT_EQ(store_->counters().dead, 0u);
}

// Whose subscriber is stuck waits, and what is behind it in the same job; other jobs go on, and it goes on itself once there is room.
TEST_F(JobRunnerTest, AStuckSubscriberHoldsUpItsOwnJobsOnly) {
  int64_t first = put_dead(1), stuck = put_dead(2, "full"), other = put_dead(3), named = put_dead(4);
  run(taken_);
  int64_t all = add(JobKind::kReplay);
  ASSERT_TRUE(eventually(kSoon, [&] { return taken_.count() == 1; }));
  EXPECT_EQ(taken_.times().begin()->first, first);
  int64_t listed = add(JobKind::kReplay, 1000, {}, {named});
  ASSERT_TRUE(ends(listed));
  EXPECT_TRUE(eventually(kSoon, [&] { return taken_.times().count(named) == 1; }));
  EXPECT_EQ(job(all).state, JobState::kRunning);
  EXPECT_EQ(taken_.times().count(stuck) + taken_.times().count(other), 0u);
  taken_.empty_the_full_one();
  ASSERT_TRUE(ends(all));
  EXPECT_EQ(job(all).done, 3u) << "the fourth was replayed by name meanwhile";
  EXPECT_TRUE(eventually(kSoon, [&] { return taken_.count() == 4; }));
  for (const auto& [seq, times] : taken_.times()) EXPECT_EQ(times, 1) << seq;
}

TEST_F(JobRunnerTest, LeavesDeadWhatNobodyTakes) {
  int64_t orphan = put_dead(1, "gone");
  put_dead(2);
  run(taken_);
  int64_t id = add(JobKind::kReplay);
  ASSERT_TRUE(ends(id));
  EXPECT_EQ(job(id).done, 1u);
  EXPECT_EQ(job(id).skipped, 1u);
  EXPECT_EQ(taken_.times().count(orphan), 0u);
  EXPECT_EQ(one("SELECT state FROM delivery WHERE seq = " + std::to_string(orphan)), "dead");
}

// What dies again while the job runs is behind its cursor; what died later is beyond its end.
TEST_F(JobRunnerTest, DoesNotReplayItsOwnDead) {
  int64_t first = put_dead(1);
  int64_t second = put_dead(2);
  run(taken_);
  int64_t id = add(JobKind::kReplay, 1);
  ASSERT_TRUE(eventually(kSoon, [&] { return taken_.count() == 1; }));
  settle(store::testing::settlement(first, Kind::kDead));
  int64_t later = put_dead(3);
  ASSERT_TRUE(ends(id));
  ASSERT_TRUE(eventually(kSoon, [&] { return taken_.count() == 2; }));
  EXPECT_EQ(taken_.times(), (std::map<int64_t, int>{{first, 1}, {second, 1}}));
  EXPECT_EQ(taken_.times().count(later), 0u);
}

TEST_F(JobRunnerTest, KeepsToItsRate) {
  for (uint64_t n = 1; n <= 40; ++n) put_dead(n);
  run(taken_);
  int64_t began = steady_ms();
  int64_t id = add(JobKind::kReplay, 40);
  ASSERT_TRUE(ends(id));
  EXPECT_GE(steady_ms() - began, 800);
  EXPECT_LE(taken_.most_at_once(), 4u);
}

TEST_F(JobRunnerTest, WaitsForRoom) {
  for (uint64_t n = 1; n <= 20; ++n) put_dead(n);
  taken_.set_room(0);
  run(taken_);
  int64_t id = add(JobKind::kReplay);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(taken_.count(), 0u);
  EXPECT_EQ(store_->counters().dead, 20u) << "they stay dead meanwhile";
  taken_.set_room(7);
  ASSERT_TRUE(ends(id));
  EXPECT_TRUE(eventually(kSoon, [&] { return taken_.count() == 20; }));
  EXPECT_LE(taken_.most_at_once(), 7u);
}

TEST_F(JobRunnerTest, GoesOnAtTheNextStart) {
  for (uint64_t n = 1; n <= 300; ++n) put_dead(n);
  run(taken_);
  int64_t id = add(JobKind::kReplay, 500);
  ASSERT_TRUE(eventually(kSoon, [&] { return taken_.count() >= 50; }));
  runner_.reset();
  ASSERT_EQ(job(id).state, JobState::kRunning);
  size_t before = taken_.count();
  restart();
  Taken& second = another_;
  run(second);
  ASSERT_TRUE(ends(id));
  EXPECT_EQ(job(id).done, 300u) << "nothing twice within the job";
  EXPECT_TRUE(eventually(kSoon, [&] { return second.count() == 300; })) << "with what the first life had queued again";
  EXPECT_LT(before, 300u);
  for (const auto& [seq, times] : second.times()) EXPECT_EQ(times, 1) << seq;
}

TEST_F(JobRunnerTest, CountsAnewWhatTheStoreCouldNotTake) {
  for (uint64_t n = 1; n <= 20; ++n) put_dead(n);
  run_on_a_store_that_refuses(2);
  int64_t id = add(JobKind::kReplay);
  ASSERT_TRUE(ends(id));
  EXPECT_EQ(refusing_->refused(), 2);
  EXPECT_EQ(job(id).total, 20u) << "each look at them counts them once";
  EXPECT_EQ(job(id).done, 20u);
}

// One that cannot go on is looked at again after its pause, however fast others are.
TEST_F(JobRunnerTest, AJobThatIsPutOffWaits) {
  for (uint64_t n = 1; n <= 3; ++n) put_dead(n);
  run_on_a_store_that_refuses(1'000'000);
  add(JobKind::kReplay);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    runner_->nudge();
  }
  EXPECT_LE(refusing_->refused(), 2);
}

TEST_F(JobRunnerTest, EndsWhereItIsCancelled) {
  for (uint64_t n = 1; n <= 100; ++n) put_dead(n);
  run(taken_);
  int64_t id = add(JobKind::kReplay, 50);
  ASSERT_TRUE(eventually(kSoon, [&] { return taken_.count() >= 5; }));
  ASSERT_TRUE(store_->cancel_job(id).is_ok());
  size_t done = job(id).done;
  EXPECT_LT(done, 100u);
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(job(id).done, done);
  EXPECT_EQ(store_->counters().dead, 100 - done);
}

TEST_F(JobRunnerTest, DropsAndListsAndFilters) {
  int64_t a = put_dead(1), b = put_dead(2), c = put_dead(3);
  run(taken_);
  int64_t listed = add(JobKind::kReplay, 1000, {}, {a, c});
  ASSERT_TRUE(ends(listed));
  ASSERT_TRUE(eventually(kSoon, [&] { return taken_.count() == 2; }));
  EXPECT_EQ(taken_.times(), (std::map<int64_t, int>{{a, 1}, {c, 1}}));
  store::Selection nothing;
  nothing.plugin = "nobody";
  int64_t none = add(JobKind::kDrop, 1000, nothing);
  ASSERT_TRUE(ends(none));
  EXPECT_EQ(job(none).total, 0u);
  EXPECT_EQ(store_->counters().dead, 1u);
  ASSERT_TRUE(ends(add(JobKind::kDrop)));
  EXPECT_EQ(store_->counters().dead, 0u);
  EXPECT_EQ(one("SELECT dropped_at > 0 FROM delivery WHERE seq = " + std::to_string(b)), "1");
  EXPECT_EQ(taken_.count(), 2u) << "what is dropped goes nowhere";
}

TEST_F(JobRunnerTest, RemovesOldEvents) {
  for (uint64_t n = 1; n <= 300; ++n) put(store::testing::new_event(n));
  put_dead(1000);
  close();
  store::testing::Sql(path(), false).run("UPDATE event SET dedupe_until = 1");
  open();
  run(taken_);
  store::NewJob wanted;
  wanted.kind = JobKind::kPrune;
  wanted.cutoff = {INT64_MAX, 0};
  auto made = store_->add_job(wanted);
  runner_->nudge();
  ASSERT_TRUE(ends(made->id));
  EXPECT_EQ(job(made->id).done, 300u);
  EXPECT_EQ(one("SELECT count(*) FROM event"), "1");
}

}  // namespace
}  // namespace postern::dispatch
