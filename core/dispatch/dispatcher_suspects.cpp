// How deliveries that may have ended an earlier life of the gateway are run: before all others, one at a time.
#include "core/base/log.h"
#include "core/dispatch/dispatcher.h"

namespace postern::dispatch {

postern::Status Dispatcher::run_first(const std::vector<int64_t>& suspects, SuspectWatch& watch) {
  watch_ = &watch;
  for (int64_t seq : suspects) {
    store::DeliveryFilter filter;
    filter.seq = seq;
    auto rows = store_.deliveries(filter);
    if (!rows) return rows.status();
    bool open = !rows->empty() && (rows->front().state == "queued" || rows->front().state == "running");
    auto event = open ? store_.event(rows->front().event) : Result<std::shared_ptr<const store::StoredEvent>>(nullptr);
    if (!event && event.status().code() != Code::kNotFound) return event.status();
    bool taken = false;
    if (open && event) {
      const store::DeliveryRow& row = rows->front();
      store::OpenDelivery delivery{seq, row.event, row.plugin, row.subscriber, (*event)->provider, (*event)->order_key, row.attempts,
                                   row.due_at, nullptr, row.replayed_at};
      MutexLock lock(mutex_);
      taken = scheduler_.add_suspect(std::move(delivery));
    }
    taken ? log::info("runs before others, alone: it was at work when the gateway ended", {{"delivery", seq}}) : watch.acquit(seq);
  }
  return postern::Status::ok();
}

void Dispatcher::begin_trial(const Entry& entry) {
  if (entry.suspect) watch_->try_alone(entry.seq);
}

// However it ended: the gateway is still there.
void Dispatcher::end_trial(const Entry& entry) {
  if (!entry.suspect) return;
  scheduler_.end_suspect(entry);
  watch_->acquit(entry.seq);
  inbox_.ring_all();
  nudge_at(0);
}

}  // namespace postern::dispatch
