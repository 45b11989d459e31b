// What a Reader finds of crashes.
#include "core/store/sqlite/reader.h"

namespace postern::store::sqlite {

Result<std::vector<Crash>> Reader::crashes(const std::string& plugin, size_t limit) {
  auto rows = database_.prepare(
      "SELECT life, plugin, build, entry_point, ifnull(delivery, 0), at, signal, place, backtrace, ifnull(pardoned_at, 0) FROM crash "
      "WHERE ?1 = '' OR plugin = ?1 ORDER BY seq DESC LIMIT ?2");
  if (!rows) return rows.status();
  rows->bind(1, plugin).bind(2, static_cast<int64_t>(limit));
  std::vector<Crash> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    Crash& crash = found.emplace_back();
    crash.life = rows->integer(0);
    crash.plugin = rows->text(1);
    crash.build = rows->text(2);
    crash.entry_point = rows->text(3);
    crash.delivery = rows->integer(4);
    crash.at = rows->integer(5);
    crash.signal = rows->text(6);
    crash.place = rows->text(7);
    crash.backtrace = rows->text(8);
    crash.pardoned_at = rows->integer(9);
  }
  if (code != SQLITE_DONE) return database_.fault("read crashes");
  return found;
}

Result<uint32_t> Reader::crash_attempts(int64_t delivery) {
  auto rows = database_.prepare(
      "SELECT count(*) FROM attempt a JOIN delivery d ON d.seq = a.delivery "
      "WHERE a.delivery = ?1 AND a.n > d.earlier_attempts AND a.outcome = ?2");
  if (!rows) return rows.status();
  rows->bind(1, delivery).bind(2, kCrashOutcome);
  if (rows->step() != SQLITE_ROW) return database_.fault("count the crashes of a delivery");
  return static_cast<uint32_t>(rows->integer(0));
}

}  // namespace postern::store::sqlite
