// What a Reader finds of the durable timers.
#include "core/store/sqlite/reader.h"

namespace postern::store::sqlite {
namespace {

void read_timer(Statement& row, int64_t now_ms, DueTimer& timer) {
  timer.seq = row.integer(0);
  timer.plugin = row.text(1);
  timer.name = row.text(2);
  timer.type = row.text(3);
  timer.order_key = row.text(4);
  timer.depth = static_cast<uint32_t>(row.integer(5));
  timer.late_ms = now_ms - row.integer(6);
  timer.body = row.blob(7);
}

// Parameters from `first` on.
std::string of_plugins(size_t count, size_t first) {
  std::string list;
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "?" : ", ?") + std::to_string(first + i);
  return "plugin IN (" + list + ")";
}

void bind_plugins(Statement& statement, const std::vector<std::string>& plugins, int first) {
  for (const std::string& plugin : plugins) statement.bind(first++, plugin);
}

}  // namespace

// By the index, which has what is asked for: the timers of plugins that the configuration no longer has may be many, and stay due.
Result<DueTimers> Reader::due_timers(const std::vector<std::string>& plugins, int64_t now_ms, size_t limit) {
  DueTimers found;
  auto due = database_.prepare("SELECT seq, plugin, name, type, order_key, depth, due_at, body FROM timer INDEXED BY timer_due "
                               "WHERE due_at <= ?1 AND " + of_plugins(plugins.size(), 3) + " ORDER BY due_at, seq LIMIT ?2");
  if (!due) return due.status();
  due->bind(1, now_ms).bind(2, static_cast<int64_t>(limit));
  bind_plugins(*due, plugins, 3);
  int code = SQLITE_ROW;
  for (size_t bytes = 0; bytes < kMaxPageBytes && (code = due->step()) == SQLITE_ROW;) {
    read_timer(*due, now_ms, found.timers.emplace_back());
    bytes += found.timers.back().body.size();
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) return database_.fault("read timers that are due");
  if (!found.timers.empty()) return found;

  auto next = database_.prepare("SELECT due_at FROM timer INDEXED BY timer_due WHERE due_at > ?1 AND " + of_plugins(plugins.size(), 2) +
                                " ORDER BY due_at LIMIT 1");
  if (!next) return next.status();
  next->bind(1, now_ms);
  bind_plugins(*next, plugins, 2);
  code = next->step();
  if (code == SQLITE_ROW) found.next_in_ms = next->integer(0) - now_ms;
  if (code != SQLITE_ROW && code != SQLITE_DONE) return database_.fault("look for the next timer");
  return found;
}

}  // namespace postern::store::sqlite
