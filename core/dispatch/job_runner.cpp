#include "core/dispatch/job_runner.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::dispatch {
namespace {

constexpr int64_t kTryAgainMs = 1000;  // after the store could not read or write
constexpr int64_t kNoRoomMs = 50;      // until the dispatcher may have room
constexpr int64_t kPrunePauseMs = 2;   // between two steps, for senders
constexpr int64_t kIdleMs = 60'000;    // nudge() ends it
constexpr size_t kPage = 10'000;       // of what earlier lives have queued again
constexpr size_t kMostAtOnce = 200;
constexpr uint32_t kStepsASecond = 10;
constexpr size_t kPruneAtOnce = 200;
constexpr std::chrono::milliseconds kLookFor(50);

bool queues_again(const store::Job& job) { return job.kind == store::JobKind::kReplay || job.kind == store::JobKind::kRerun; }

}  // namespace

void JobRunner::start() {
  thread_ = std::thread([this] { run(); });
}

void JobRunner::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void JobRunner::nudge() {
  MutexLock lock(mutex_);
  nudged_ = true;
  changed_.notify_all();
}

bool JobRunner::sleep_until(int64_t at_ms) {
  MutexLock lock(mutex_);
  for (int64_t now = steady_ms(); !stopping_ && !nudged_ && now < at_ms; now = steady_ms()) {
    changed_.wait_for(mutex_, std::chrono::milliseconds(at_ms - now));
  }
  nudged_ = false;
  return !stopping_;
}

void JobRunner::run() {
  name_thread("jobs");
  if (!bring_replayed()) return;
  for (int64_t next = 0; sleep_until(next);) {
    auto jobs = upkeep_.jobs(true);
    if (!jobs) {
      log::error("jobs cannot be read; trying again", {{"error", jobs.status().message()}});
      next = steady_ms() + kTryAgainMs;
      continue;
    }
    next = work_on(*jobs);
  }
}

// Before the first step of a job, so that nothing comes to the dispatcher twice. All of them: earlier lives had room for no more.
bool JobRunner::bring_replayed() {
  int64_t after = 0;
  for (int64_t next = 0; sleep_until(next);) {
    auto page = upkeep_.replayed_deliveries(after, kPage);
    if (!page) {
      log::error("replayed deliveries cannot be read; trying again", {{"error", page.status().message()}});
      next = steady_ms() + kTryAgainMs;
      continue;
    }
    bool last = page->size() < kPage;
    if (!page->empty()) after = page->back().seq;
    if (!page->empty()) target_.requeue(std::move(*page));
    if (last) return true;
    next = 0;
  }
  return false;
}

int64_t JobRunner::work_on(const std::vector<store::Job>& jobs) {
  std::erase_if(paces_, [&](const auto& pace) {
    return std::none_of(jobs.begin(), jobs.end(), [&](const store::Job& job) { return job.id == pace.first; });
  });
  int64_t next = steady_ms() + kIdleMs;
  for (const store::Job& job : jobs) next = std::min(next, step(job, paces_[job.id]));
  return next;
}

int64_t JobRunner::step(const store::Job& job, Pace& pace) {
  int64_t now = steady_ms();
  if (now < pace.next_ms) return pace.next_ms;
  if (!job.total) {
    auto counted = count(job, pace);
    if (!counted) return put_off(job, counted.status());
    if (!*counted) return now;
    store::Advance total;
    total.cursor = job.cursor;
    total.total = pace.counted;
    return take(job, total, pace);
  }
  size_t limit = std::clamp<size_t>(job.rate / kStepsASecond, 1, kMostAtOnce);
  auto by = next_of(job, limit);
  if (!by) return put_off(job, by.status());
  if (by->items.empty() && !by->finished && by->cursor == job.cursor) return pace.next_ms = now + kNoRoomMs;
  return take(job, *by, pace);
}

// A page at a time; true when all are counted.
Result<bool> JobRunner::count(const store::Job& job, Pace& pace) {
  store::Scan scan;
  if (pace.counted_to == 0) pace.counted = 0;  // from the beginning: again, where the store could not take the last total
  scan.after = pace.counted_to;
  scan.last = job.last;
  scan.time = kLookFor;
  if (job.kind == store::JobKind::kPrune) {
    auto found = upkeep_.prunable(job.cutoff, scan);
    if (!found) return found.status();
    pace.counted += found->events.size();
    pace.counted_to = found->next;
  } else {
    scan.limit = 0;
    scan.count_on = true;
    auto found = upkeep_.find(job.selection, job.kind == store::JobKind::kRerun, scan);
    if (!found) return found.status();
    pace.counted += found->matched;
    pace.counted_to = found->next;
  }
  return pace.counted_to == 0;
}

Result<store::Advance> JobRunner::next_of(const store::Job& job, size_t limit) {
  if (job.kind == store::JobKind::kPrune) return next_prunable(job);
  return job.listed ? next_listed(job, limit) : next_selected(job, limit);
}

Result<store::Advance> JobRunner::next_listed(const store::Job& job, size_t limit) {
  auto listed = upkeep_.listed(job.id, job.cursor, limit);
  if (!listed) return listed.status();
  store::Advance by;
  by.cursor = listed->empty() ? job.cursor : listed->back().seq;
  by.finished = listed->size() < limit;
  Rooms rooms;
  for (const store::ListedDelivery& item : *listed) {
    if (!add_item(job, item.seq, item.plugin, item.subscriber, rooms, by)) break;
  }
  return by;
}

Result<store::Advance> JobRunner::next_selected(const store::Job& job, size_t limit) {
  store::Scan scan;
  scan.after = job.cursor;
  scan.last = job.last;
  scan.limit = limit;
  scan.time = kLookFor;
  auto found = upkeep_.find(job.selection, job.kind == store::JobKind::kRerun, scan);
  if (!found) return found.status();
  store::Advance by;
  by.finished = found->next == 0;
  by.cursor = by.finished ? job.last : found->next;
  Rooms rooms;
  for (const store::DeliveryRow& row : found->rows) {
    if (!add_item(job, row.seq, row.plugin, row.subscriber, rooms, by)) break;
  }
  return by;
}

// A delivery of a subscriber that the configuration no longer has would wait for nobody: it is left as it is. At one whose subscriber has
// no room now the step ends (false), and the next one begins with it: subscribers that are stuck hold up the jobs that they are in, no
// others.
bool JobRunner::add_item(const store::Job& job, int64_t seq, const std::string& plugin, const std::string& subscriber, Rooms& rooms,
                         store::Advance& by) {
  if (!queues_again(job)) {
    by.items.push_back({seq, false});
    return true;
  }
  bool has_taker = target_.has_subscriber(plugin, subscriber);
  if (has_taker) {
    auto [room, is_new] = rooms.try_emplace({plugin, subscriber}, 0);
    if (is_new) room->second = target_.room(plugin, subscriber);
    if (room->second == 0) {
      by.finished = false;
      by.cursor = seq - 1;  // what is before it is not looked at again
      return false;
    }
    --room->second;
  }
  by.items.push_back({seq, !has_taker});
  return true;
}

Result<store::Advance> JobRunner::next_prunable(const store::Job& job) {
  store::Scan scan;
  scan.after = job.cursor;
  scan.last = job.last;
  scan.limit = kPruneAtOnce;
  scan.time = kLookFor;
  auto found = upkeep_.prunable(job.cutoff, scan);
  if (!found) return found.status();
  store::Advance by;
  for (int64_t event : found->events) by.items.push_back({event, false});
  by.finished = found->next == 0;
  by.cursor = by.finished ? job.last : found->next;
  return by;
}

int64_t JobRunner::take(const store::Job& job, const store::Advance& by, Pace& pace) {
  int64_t now = steady_ms();
  auto done = upkeep_.advance(job.id, by);
  if (!done && (done.status().code() == Code::kGone || done.status().code() == Code::kNotFound)) return now;  // cancelled meanwhile
  if (!done) return put_off(job, done.status());
  if (!done->queued.empty()) target_.requeue(std::move(done->queued));
  if (done->job.state == store::JobState::kDone) {
    log::info("a job has ended", {{"job", job.id}, {"kind", store::to_text(job.kind)}, {"done", done->job.done},
                                  {"skipped", done->job.skipped}});
    return now;
  }
  int64_t at_its_rate = static_cast<int64_t>(done->handled) * 1000 / std::max(1u, job.rate);
  int64_t pause = job.kind == store::JobKind::kPrune ? kPrunePauseMs : at_its_rate;
  return pace.next_ms = std::max(now, pace.next_ms) + pause;
}

int64_t JobRunner::put_off(const store::Job& job, const Status& why) {
  if (why.code() != Code::kUnavailable) log::error("a job cannot go on now; trying again", {{"job", job.id}, {"error", why.message()}});
  paces_[job.id].next_ms = steady_ms() + kTryAgainMs;
  return steady_ms() + kTryAgainMs;
}

}  // namespace postern::dispatch
