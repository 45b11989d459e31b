// SqliteStore's side of Upkeep: what is read goes to a Reader, what is written to the committer as a Task.
#include <future>

#include "core/store/sqlite/changes.h"
#include "core/store/sqlite/sqlite_store.h"
#include "core/store/sqlite/waited_task.h"

namespace postern::store::sqlite {
namespace {

class EmptyTask final : public Task {
 public:
  explicit EmptyTask(std::shared_ptr<std::promise<void>> ended) : ended_(std::move(ended)) {}
  Status run(Writer&, Writer::Batch&, const HasTime&) override { return Status::ok(); }
  void end(const Status&) override { ended_->set_value(); }

 private:
  std::shared_ptr<std::promise<void>> ended_;  // who waits may have gone
};

}  // namespace

bool SqliteStore::comes_round(std::chrono::milliseconds within) {
  auto ended = std::make_shared<std::promise<void>>();
  std::future<void> done = ended->get_future();
  committer_.submit(std::make_unique<EmptyTask>(std::move(ended)));
  return done.wait_for(within) == std::future_status::ready;
}

// What `write` refers to lives until it has ended.
template <typename Write>
Status SqliteStore::in_batch(Write write) {
  Status refusal;
  Status status = run_in_batch(committer_, [&](Writer& writer, Writer::Batch& batch, const Task::HasTime& has_time) {
    Changes changes(writer.database(), batch, has_time);
    Status changed = write(changes);
    refusal = changes.refusal();
    return changed;
  });
  return status ? refusal : status;
}

Result<Found> SqliteStore::find(const Selection& selection, bool settled, const Scan& scan) {
  return with_reader([&](Reader& r) { return r.find(selection, settled, scan); });
}
Result<std::vector<Job>> SqliteStore::jobs(bool running_only) {
  return with_reader([&](Reader& r) { return r.jobs(running_only); });
}
Result<Job> SqliteStore::job(int64_t id) {
  auto all = jobs(false);  // a hundred at most
  if (!all) return all.status();
  for (Job& job : *all) {
    if (job.id == id) return std::move(job);
  }
  return Status(Code::kNotFound, "no job has the number " + std::to_string(id));
}
Result<std::vector<ListedDelivery>> SqliteStore::listed(int64_t job, int64_t after, size_t limit) {
  return with_reader([&](Reader& r) { return r.listed(job, after, limit); });
}
Result<std::vector<OpenDelivery>> SqliteStore::replayed_deliveries(int64_t after, size_t limit) {
  return with_reader([&](Reader& r) { return r.replayed_deliveries(after, limit); });
}
Result<Upkeep::Prunable> SqliteStore::prunable(const Cutoff& cutoff, const Scan& scan) {
  return with_reader([&](Reader& r) { return r.prunable(cutoff, scan); });
}
Result<StoreSize> SqliteStore::size() {
  return with_reader([](Reader& r) { return r.size(); });
}

Result<Job> SqliteStore::add_job(const NewJob& job) {
  Job made;
  Status status = in_batch([&](Changes& c) { return c.add_job(job, made); });
  return status ? Result<Job>(std::move(made)) : Result<Job>(status);
}
Result<Advanced> SqliteStore::advance(int64_t job, const Advance& by) {
  Advanced to;
  Status status = in_batch([&](Changes& c) { return c.advance(job, by, to); });
  return status ? Result<Advanced>(std::move(to)) : Result<Advanced>(status);
}
Result<Job> SqliteStore::cancel_job(int64_t id) {
  Job job;
  Status status = in_batch([&](Changes& c) { return c.cancel_job(id, job); });
  return status ? Result<Job>(std::move(job)) : Result<Job>(status);
}
Result<Removed> SqliteStore::prune(const Cutoff& cutoff, const std::vector<int64_t>& events) {
  Removed removed;
  Status status = in_batch([&](Changes& c) { return c.prune(cutoff, events, removed); });
  return status ? Result<Removed>(removed) : Result<Removed>(status);
}
Status SqliteStore::shrink(uint64_t bytes) {
  return in_batch([&](Changes& c) { return c.shrink(bytes); });
}

}  // namespace postern::store::sqlite
