#include "core/store/sqlite/timer_table.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/log.h"

namespace postern::store::sqlite {

Status TimerTable::load(Database& database) {
  database_ = &database;
  struct Wanted {
    Statement* statement;
    const char* sql;
  };
  const Wanted wanted[] = {
      {&has_, "SELECT 1 FROM timer WHERE plugin = ?1 AND name = ?2"},
      {&insert_,
       "INSERT INTO timer (seq, plugin, name, due_at, set_at, type, order_key, depth, body) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"},
      {&forget_, "DELETE FROM timer WHERE plugin = ?1 AND name = ?2"},
      {&remove_, "DELETE FROM timer WHERE seq = ?1 RETURNING plugin"},
  };
  for (const Wanted& w : wanted) {
    auto statement = database.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }
  auto last = database.integer("SELECT ifnull(max(seq), 0) FROM timer");
  if (!last) return last.status();
  seq_ = *last;
  auto last_set_at = count();
  if (!last_set_at) return last_set_at.status();
  return *last_set_at > opened_wall_ms_ ? follow_clock_back() : Status::ok();
}

// When the last one was set. By the index, so that no body is read.
Result<int64_t> TimerTable::count() {
  auto rows = database_->prepare("SELECT plugin, count(*), max(set_at) FROM timer INDEXED BY timer_due WHERE due_at >= 0 GROUP BY plugin");
  if (!rows) return rows.status();
  int64_t last_set_at = 0;
  MutexLock lock(mutex_);
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    counts_[std::string(rows->text(0))] = static_cast<uint64_t>(rows->integer(1));
    last_set_at = std::max(last_set_at, rows->integer(2));
  }
  return code == SQLITE_DONE ? Result<int64_t>(last_set_at) : database_->fault("count timers");
}

// Some were set in the future: the clock is behind what it was. Nobody knows how long they have waited since; none shall wait longer than
// its whole delay from now on.
Status TimerTable::follow_clock_back() {
  auto move = database_->prepare("UPDATE timer SET due_at = due_at - set_at + ?1, set_at = ?1 WHERE set_at > ?1");
  if (!move) return move.status();
  if (move->bind(1, opened_wall_ms_).run() != SQLITE_DONE) return database_->fault("bring timers to the clock");
  log::warn("the system's clock is behind what it was; durable timers that were set later than it says wait for their whole delay again",
            {{"timers", sqlite3_changes(database_->handle())}});
  return Status::ok();
}

Result<bool> TimerTable::has(const std::string& plugin, const std::string& name) {
  ResetAtEnd reset(has_);
  int code = has_.bind(1, plugin).bind(2, name).step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return database_->fault("look for a timer");
  return code == SQLITE_ROW;
}

Status TimerTable::check(const std::string& plugin, const std::vector<TimerWrite>& writes) {
  if (writes.empty()) return Status::ok();
  int64_t change = 0;
  std::map<std::string_view, bool> there;  // after the writes so far
  for (const TimerWrite& write : writes) {
    auto [timer, first] = there.try_emplace(write.name, false);
    if (first) {
      auto stored = has(plugin, write.name);
      if (!stored) return stored.status();
      timer->second = *stored;
    }
    change += static_cast<int64_t>(!write.remove) - static_cast<int64_t>(timer->second);
    timer->second = !write.remove;
  }
  if (change <= 0) return Status::ok();
  auto pending = changes_.find(plugin);
  if (pending != changes_.end()) change += pending->second;
  MutexLock lock(mutex_);
  auto count = counts_.find(plugin);
  int64_t before = count == counts_.end() ? 0 : static_cast<int64_t>(count->second);
  if (before + change <= static_cast<int64_t>(kMaxTimers)) return Status::ok();
  return {Code::kLimit, "plugin " + plugin + " would have more than " + std::to_string(kMaxTimers) +
                            " durable timers; it has to remove some, or wait until some have fired"};
}

Status TimerTable::write(const std::string& plugin, const std::vector<TimerWrite>& writes) {
  for (const TimerWrite& write : writes) {
    if (Status s = forget(plugin, write.name); !s) return s;
    if (write.remove) continue;
    if (Status s = insert(plugin, write); !s) return s;
  }
  return Status::ok();
}

Status TimerTable::forget(const std::string& plugin, const std::string& name) {
  if (forget_.bind(1, plugin).bind(2, name).run() != SQLITE_DONE) return database_->fault("remove a timer");
  if (int gone = sqlite3_changes(database_->handle()); gone > 0) changes_[plugin] -= gone;
  return Status::ok();
}

Status TimerTable::insert(const std::string& plugin, const TimerWrite& timer) {
  int64_t now = now_ms(), due_at = now + timer.delay_ms;
  insert_.bind(1, ++seq_).bind(2, plugin).bind(3, timer.name).bind(4, due_at).bind(5, now).bind(6, timer.type);
  insert_.bind(7, timer.order_key).bind(8, timer.depth).bind_blob(9, timer.body);
  if (insert_.run() != SQLITE_DONE) return database_->fault("set a timer");
  ++changes_[plugin];
  earliest_ = std::min(earliest_.value_or(due_at), due_at);
  return Status::ok();
}

Result<bool> TimerTable::remove(int64_t seq) {
  ResetAtEnd reset(remove_);
  int code = remove_.bind(1, seq).step();
  if (code == SQLITE_DONE) return false;
  if (code != SQLITE_ROW) return database_->fault("remove a timer that is due");
  --changes_[std::string(remove_.text(0))];
  if (remove_.step() != SQLITE_DONE) return database_->fault("remove a timer that is due");
  return true;
}

void TimerTable::commit() {
  if (changes_.empty()) return;
  MutexLock lock(mutex_);
  for (const auto& [plugin, change] : changes_) {
    uint64_t& count = counts_[plugin];
    count += static_cast<uint64_t>(change);
    if (count == 0) counts_.erase(plugin);
  }
  changes_.clear();
  if (earliest_ && on_set_) on_set_(std::max<int64_t>(0, *earliest_ - now_ms()));
  earliest_.reset();
}

void TimerTable::rollback() {
  changes_.clear();
  earliest_.reset();
}

std::map<std::string, uint64_t> TimerTable::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

void TimerTable::tell(std::function<void(int64_t in_ms)> on_set) {
  MutexLock lock(mutex_);
  on_set_ = std::move(on_set);
}

}  // namespace postern::store::sqlite
