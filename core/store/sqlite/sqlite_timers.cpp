// SqliteStore's side of Timers.
#include "core/store/sqlite/sqlite_store.h"
#include "core/store/sqlite/waited_task.h"

namespace postern::store::sqlite {
namespace {

constexpr size_t kAtLeast = 8;  // timers of a step, however little time there is

}  // namespace

Result<DueTimers> SqliteStore::due_timers(const std::vector<std::string>& plugins, size_t limit) {
  return with_reader([&](Reader& r) { return r.due_timers(plugins, committer_.timers().now_ms(), limit); });
}

Result<Fired> SqliteStore::fire(std::vector<Firing> timers) {
  Fired fired;
  Status status = run_in_batch(committer_, [&](Writer& writer, Writer::Batch& batch, const Task::HasTime& has_time) {
    for (; fired.handled < timers.size() && (fired.handled < kAtLeast || has_time()); ++fired.handled) {
      auto became_event = writer.fire(timers[fired.handled], batch);
      if (!became_event) return became_event.status();
      if (*became_event) ++fired.events;
    }
    return Status::ok();
  });
  return status ? Result<Fired>(fired) : Result<Fired>(status);
}

}  // namespace postern::store::sqlite
