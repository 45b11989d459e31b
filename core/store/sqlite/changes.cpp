#include "core/store/sqlite/changes.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/store/sqlite/job_row.h"

namespace postern::store::sqlite {
namespace {

constexpr size_t kAtLeast = 8;          // items of a step, however little time there is
constexpr int64_t kJobsAtOnce = 16;
constexpr int64_t kJobsRemembered = 100;

}  // namespace

Result<Statement*> Changes::prepared(Statement& statement, const std::string& sql) {
  if (!statement.is_prepared()) {
    auto made = database_.prepare(sql);
    if (!made) return made.status();
    statement = std::move(*made);
  }
  return &statement;
}

Status Changes::run(Statement& statement, const char* doing) {
  return statement.run() == SQLITE_DONE ? Status::ok() : database_.fault(doing);
}

// ---- jobs

Status Changes::add_job(const NewJob& wanted, Job& made) {
  auto running = database_.integer("SELECT count(*) FROM job WHERE state = 'running'");
  if (!running) return running.status();
  if (*running >= kJobsAtOnce) {
    refusal_ = {Code::kLimit, std::to_string(*running) + " jobs run already; wait for one to end, or cancel one"};
    return Status::ok();
  }
  auto id = database_.integer("SELECT ifnull(max(id), 0) + 1 FROM job");
  if (!id) return id.status();
  auto newest = database_.integer(wanted.kind == JobKind::kPrune ? "SELECT ifnull(max(seq), 0) FROM event"
                                                                 : "SELECT ifnull(max(seq), 0) FROM delivery");
  if (!newest) return newest.status();
  made = {};
  made.id = *id;
  made.kind = wanted.kind;
  made.selection = wanted.selection;
  made.cutoff = wanted.cutoff;
  made.rate = wanted.rate;
  made.last = *newest;
  made.created_at = wall_ms();
  made.listed = !wanted.deliveries.empty();
  auto insert = database_.prepare("INSERT OR IGNORE INTO job_item (job, delivery) VALUES (?1, ?2)");
  if (!insert) return insert.status();
  uint64_t items = 0;
  for (int64_t delivery : wanted.deliveries) {
    if (Status s = run(insert->bind(1, *id).bind(2, delivery), "keep a job's deliveries"); !s) return s;
    items += static_cast<uint64_t>(sqlite3_changes(database_.handle()));
  }
  if (made.listed) made.total = items;
  if (Status s = forget_old_jobs(*id); !s) return s;
  return keep_job(made);
}

Status Changes::forget_old_jobs(int64_t newest) {
  auto forget = database_.prepare("DELETE FROM job WHERE state <> 'running' AND id <= ?1");
  if (!forget) return forget.status();
  return run(forget->bind(1, newest - kJobsRemembered), "forget old jobs");
}

Status Changes::find_job(int64_t id, Job& job) {
  auto row = database_.prepare("SELECT " + std::string(kJobColumns) + " FROM job WHERE id = ?1");
  if (!row) return row.status();
  int code = row->bind(1, id).step();
  if (code == SQLITE_DONE) {
    refusal_ = {Code::kNotFound, "no job has the number " + std::to_string(id)};
    return Status::ok();
  }
  if (code != SQLITE_ROW) return database_.fault("read a job");
  auto found = read_job(*row);
  if (found) {
    job = std::move(*found);
  } else {
    refusal_ = found.status();  // no fault of the disk: the batch goes on
  }
  return Status::ok();
}

Status Changes::keep_job(const Job& job) {
  auto write = database_.prepare(
      "INSERT OR REPLACE INTO job (id, kind, state, plugin, type, since, until, dead_until, error, listed, rate, last_seq, cursor, "
      "total, done, skipped, created_at, finished_at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)");
  if (!write) return write.status();
  bool prune = job.kind == JobKind::kPrune;
  write->bind(1, job.id).bind(2, to_text(job.kind)).bind(3, to_text(job.state)).bind(4, job.selection.plugin);
  write->bind(5, job.selection.type).bind(6, job.selection.since).bind(7, prune ? job.cutoff.until : job.selection.until);
  write->bind(8, job.cutoff.dead_until).bind(9, job.selection.error).bind(10, job.listed).bind(11, job.rate).bind(12, job.last);
  write->bind(13, job.cursor).bind(15, static_cast<int64_t>(job.done)).bind(16, static_cast<int64_t>(job.skipped));
  job.total ? write->bind(14, static_cast<int64_t>(*job.total)) : write->bind_null(14);
  write->bind(17, job.created_at);
  job.finished_at != 0 ? write->bind(18, job.finished_at) : write->bind_null(18);
  return run(*write, "keep a job");
}

Status Changes::forget_items(int64_t job) {
  auto forget = database_.prepare("DELETE FROM job_item WHERE job = ?1");
  if (!forget) return forget.status();
  return run(forget->bind(1, job), "forget a job's deliveries");
}

Status Changes::cancel_job(int64_t id, Job& job) {
  if (Status s = find_job(id, job); !s || !refusal_) return s;
  if (job.state != JobState::kRunning) return Status::ok();
  job.state = JobState::kCancelled;
  job.finished_at = wall_ms();
  if (Status s = forget_items(id); !s) return s;
  return keep_job(job);
}

Status Changes::advance(int64_t id, const Advance& by, Advanced& to) {
  Job& job = to.job;
  if (Status s = find_job(id, job); !s || !refusal_) return s;
  if (job.state != JobState::kRunning) {
    refusal_ = {Code::kGone, "job " + std::to_string(id) + " does not run any more"};
    return Status::ok();
  }
  for (; to.handled < by.items.size() && (to.handled < kAtLeast || has_time_()); ++to.handled) {
    bool changed = false;
    if (Status s = change(job, by.items[to.handled], to, changed); !s) return s;
    ++(changed ? job.done : job.skipped);
  }
  bool all = to.handled == by.items.size();
  job.cursor = all ? by.cursor : by.items[to.handled - 1].seq;
  if (by.total) job.total = by.total;
  if (all && by.finished) {
    job.state = JobState::kDone;
    job.finished_at = wall_ms();
    if (Status s = forget_items(id); !s) return s;
  }
  return keep_job(job);
}

Status Changes::change(const Job& job, const Advance::Item& item, Advanced& to, bool& changed) {
  if (item.skip) return Status::ok();
  switch (job.kind) {
    case JobKind::kReplay:
    case JobKind::kRerun: return queue_again(job, item.seq, to, changed);
    case JobKind::kDrop: return drop(item.seq, changed);
    case JobKind::kPrune: return remove_event(job.cutoff, item.seq, changed);
  }
  return Status::ok();
}

// ---- deliveries

// Its attempts begin anew; those that it had stay to be looked at. last_error stays until it has an outcome again.
Status Changes::queue_again(const Job& job, int64_t delivery, Advanced& to, bool& changed) {
  auto look = prepared(look_,
                       "SELECT d.event, d.plugin, d.subscriber, e.provider, e.order_key, d.state = 'dead' FROM delivery d JOIN event e "
                       "ON e.seq = d.event WHERE d.seq = ?1 AND (d.state = 'dead' OR (?2 AND d.state = 'done'))");
  if (!look) return look.status();
  auto queue = prepared(queue_,
                        "UPDATE delivery SET state = 'queued', earlier_attempts = earlier_attempts + attempts, attempts = 0, due_at = ?2, "
                        "replayed_at = ?2, settled_at = NULL, duration_us = NULL, dropped_at = NULL WHERE seq = ?1");
  if (!queue) return queue.status();
  OpenDelivery again;
  bool dead;
  {
    ResetAtEnd reset(**look);
    int code = (*look)->bind(1, delivery).bind(2, job.kind == JobKind::kRerun).step();
    if (code == SQLITE_DONE) return Status::ok();
    if (code != SQLITE_ROW) return database_.fault("look at a delivery");
    again = {delivery, look_.integer(0), std::string(look_.text(1)), std::string(look_.text(2)), std::string(look_.text(3)),
             std::string(look_.text(4)), 0, wall_ms(), nullptr, 0};
    again.replayed_at = again.due_at;
    dead = look_.integer(5) != 0;
  }
  if (Status s = run((*queue)->bind(1, delivery).bind(2, again.due_at), "queue a delivery again"); !s) return s;
  ++batch_.open_change;
  if (dead) --batch_.dead_change;
  to.queued.push_back(std::move(again));
  changed = true;
  return Status::ok();
}

Status Changes::drop(int64_t delivery, bool& changed) {
  auto drop = prepared(drop_, "UPDATE delivery SET state = 'done', dropped_at = ?2 WHERE seq = ?1 AND state = 'dead'");
  if (!drop) return drop.status();
  if (Status s = run((*drop)->bind(1, delivery).bind(2, wall_ms()), "drop a delivery"); !s) return s;
  changed = sqlite3_changes(database_.handle()) > 0;
  if (changed) --batch_.dead_change;
  return Status::ok();
}

// ---- events

Status Changes::prune(const Cutoff& cutoff, const std::vector<int64_t>& events, Removed& removed) {
  for (; removed.handled < events.size() && (removed.handled < kAtLeast || has_time_()); ++removed.handled) {
    bool gone = false;
    if (Status s = remove_event(cutoff, events[removed.handled], gone); !s) return s;
    if (gone) ++removed.events;
  }
  return Status::ok();
}

Status Changes::remove_event(const Cutoff& cutoff, int64_t event, bool& removed) {
  auto range = prepared(range_, "SELECT e.first_delivery, e.first_delivery + e.deliveries FROM event e WHERE e.seq = ?1 AND " +
                                    std::string(kMayBePruned));
  if (!range) return range.status();
  int64_t first, end;
  {
    ResetAtEnd reset(**range);
    int code = (*range)->bind(1, event).bind(2, cutoff.until).bind(3, cutoff.dead_until).bind(4, wall_ms()).step();
    if (code == SQLITE_DONE) return Status::ok();
    if (code != SQLITE_ROW) return database_.fault("look at an event");
    first = range_.integer(0);
    end = range_.integer(1);
  }
  auto attempts = prepared(attempts_, "DELETE FROM attempt WHERE delivery >= ?1 AND delivery < ?2");
  if (!attempts) return attempts.status();
  if (Status s = run((*attempts)->bind(1, first).bind(2, end), "remove attempts"); !s) return s;
  auto deliveries = prepared(deliveries_, "DELETE FROM delivery WHERE seq >= ?1 AND seq < ?2 RETURNING state = 'dead'");
  if (!deliveries) return deliveries.status();
  {
    ResetAtEnd reset(**deliveries);
    int code = (*deliveries)->bind(1, first).bind(2, end).step();
    for (; code == SQLITE_ROW; code = deliveries_.step()) batch_.dead_change -= deliveries_.integer(0);
    if (code != SQLITE_DONE) return database_.fault("remove deliveries");
  }
  auto row = prepared(event_, "DELETE FROM event WHERE seq = ?1");
  if (!row) return row.status();
  if (Status s = run((*row)->bind(1, event), "remove an event"); !s) return s;
  removed = true;
  return Status::ok();
}

Status Changes::shrink(uint64_t bytes) {
  auto page = database_.integer("PRAGMA page_size");
  if (!page) return page.status();
  int64_t pages = static_cast<int64_t>(bytes) / *page;
  if (pages <= 0) return Status::ok();  // 0 would stand for all
  return database_.execute(("PRAGMA incremental_vacuum(" + std::to_string(pages) + ")").c_str());
}

}  // namespace postern::store::sqlite
