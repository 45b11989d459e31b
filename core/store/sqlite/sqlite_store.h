// SqliteStore: the store that needs no set-up. A Committer writes, a small pool of Readers reads.
// Thread-safety: as Store, Upkeep, Timers, Crashes and Reports say.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/store/crashes.h"
#include "core/store/reports.h"
#include "core/store/sqlite/committer.h"
#include "core/store/sqlite/reader.h"
#include "core/store/store.h"

namespace postern::store::sqlite {

class SqliteStore final : public Store, public Upkeep, public Timers, public Crashes, public Reports {
 public:
  // Opens or makes the store at `path`, and recovers what a crash left.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path, Committer::Limits limits);

  Status start(DeliveryObserver& deliveries, SettleObserver& settlements, OnFatal on_fatal) override;
  void stop() override { committer_.stop(); }

  void submit(std::unique_ptr<ingest::PendingEvent> event) override { committer_.submit(std::move(event)); }
  Status accepting() const override { return committer_.accepting(); }
  // Open deliveries; above, new events are turned away.
  void set_max_backlog(uint64_t deliveries) { committer_.set_max_backlog(deliveries); }
  void submit_settlement(std::unique_ptr<Settlement> settlement) override { committer_.submit(std::move(settlement)); }
  Counters counters() const override { return committer_.counters(); }
  Status condition() const override { return committer_.condition(); }
  const Meter& meter() const override { return committer_.meter(); }
  uint64_t size_bytes() const override;
  // Whether the committer ends another batch within the time, be it well or not. Any thread, between start() and stop().
  bool comes_round(std::chrono::milliseconds within);

  Result<OpenPage> open_deliveries(const OpenQuery& query) override;
  Result<OpenSummary> sum_up_open_deliveries() override;
  Result<std::shared_ptr<const StoredEvent>> event(int64_t seq) override;
  Result<std::optional<Record>> record(const std::string& plugin, const std::string& collection, const std::string& key) override;
  Result<std::vector<NamedRecord>> records(const RecordFilter& filter) override;
  Result<std::vector<EventRow>> events(const EventFilter& filter) override;
  Result<std::vector<DeliveryRow>> deliveries(const DeliveryFilter& filter) override;
  Result<std::vector<AttemptRow>> attempts(int64_t delivery) override;

  // Upkeep; sqlite_upkeep.cpp.
  Result<Found> find(const Selection& selection, bool settled, const Scan& scan) override;
  Result<Job> add_job(const NewJob& job) override;
  Result<std::vector<Job>> jobs(bool running_only) override;
  Result<Job> job(int64_t id) override;
  Result<std::vector<ListedDelivery>> listed(int64_t job, int64_t after, size_t limit) override;
  Result<Advanced> advance(int64_t job, const Advance& by) override;
  Result<Job> cancel_job(int64_t id) override;
  Result<std::vector<OpenDelivery>> replayed_deliveries(int64_t after, size_t limit) override;
  Result<Prunable> prunable(const Cutoff& cutoff, const Scan& scan) override;
  Result<Removed> prune(const Cutoff& cutoff, const std::vector<int64_t>& events) override;
  Result<StoreSize> size() override;
  Status shrink(uint64_t bytes) override;

  // Timers; sqlite_timers.cpp.
  Result<DueTimers> due_timers(const std::vector<std::string>& plugins, size_t limit) override;
  Result<Fired> fire(std::vector<Firing> timers) override;
  std::map<std::string, uint64_t> waiting_timers() const override { return committer_.timers().counts(); }
  void tell_of_timers(std::function<void(int64_t in_ms)> on_set) override { committer_.timers().tell(std::move(on_set)); }

  // Crashes; sqlite_crashes.cpp.
  Result<bool> add_crash(const Crash& crash, std::unique_ptr<Settlement> settlement) override;
  Result<std::vector<Crash>> crashes(const std::string& plugin, size_t limit) override;
  Status pardon(const std::string& plugin) override;
  Result<uint32_t> crash_attempts(int64_t delivery) override;

  Result<std::vector<ProviderReport>> by_provider(int64_t from, int64_t to) override;

 private:
  SqliteStore(std::string path, Committer::Limits limits) : path_(std::move(path)), committer_(limits) {}

  // Runs `use` with a reader that nobody else has meanwhile; opens one more when all are out.
  template <typename Use>
  auto with_reader(Use use) -> decltype(use(std::declval<Reader&>())) {
    std::unique_ptr<Reader> reader;
    {
      MutexLock lock(mutex_);
      if (!idle_readers_.empty()) {
        reader = std::move(idle_readers_.back());
        idle_readers_.pop_back();
      }
    }
    if (!reader) {
      auto opened = Reader::open(path_);
      if (!opened) return opened.status();
      reader = std::move(*opened);
    }
    auto result = use(*reader);
    MutexLock lock(mutex_);
    idle_readers_.push_back(std::move(reader));
    return result;
  }

  // Runs `write(Changes&)`, which gives a Status, as a small part of a batch, and waits until it is durable.
  template <typename Write>
  Status in_batch(Write write);

  const std::string path_;
  Committer committer_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Reader>> idle_readers_ GUARDED_BY(mutex_);
};

}  // namespace postern::store::sqlite
