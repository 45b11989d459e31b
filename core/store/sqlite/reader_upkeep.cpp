// What Upkeep reads.
#include <algorithm>
#include <string_view>

#include "core/base/clock.h"
#include "core/ingest/glob.h"
#include "core/store/sqlite/job_row.h"
#include "core/store/sqlite/reader.h"

namespace postern::store::sqlite {
namespace {

constexpr size_t kRowsBetweenLooks = 64;   // at the clock
constexpr size_t kYoungInARow = 1000;      // events that came after the cutoff; those behind them did too, but for a clock that was set

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains(std::string_view text, std::string_view part) {
  auto same = [](char a, char b) { return lower(a) == lower(b); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

// Looked at row by row and not in SQL, which would go on through any number of rows that do not match, whatever the time.
bool matches(const Selection& s, bool settled, const DeliveryRow& row, int64_t received_at) {
  if (row.state != "dead" && !(settled && row.state == "done")) return false;
  if (!s.plugin.empty() && row.plugin != s.plugin) return false;
  int64_t at = settled ? received_at : row.settled_at;
  if (at < s.since || (s.until != 0 && at >= s.until)) return false;
  if (!s.error.empty() && !contains(row.last_error, s.error)) return false;
  return s.type.empty() || ingest::matches_glob(s.type, row.event_type);
}

class Clock {
 public:
  explicit Clock(std::chrono::milliseconds time) : until_us_(steady_us() + std::chrono::microseconds(time).count()) {}
  bool is_over() { return ++rows_ % kRowsBetweenLooks == 0 && steady_us() >= until_us_; }

 private:
  const int64_t until_us_;
  size_t rows_ = 0;
};

}  // namespace

Result<Found> Reader::find(const Selection& selection, bool settled, const Scan& scan) {
  std::string sql = "SELECT " + std::string(kDeliveryColumns) +
                    ", e.received_at FROM delivery d LEFT JOIN event e ON e.seq = d.event WHERE ";
  if (!settled) sql += "d.state = 'dead' AND ";
  sql += scan.newest_first ? "d.seq < ?1 AND d.seq <= ?2 ORDER BY d.seq DESC" : "d.seq > ?1 AND d.seq <= ?2 ORDER BY d.seq";
  auto rows = database_.prepare(sql);
  if (!rows) return rows.status();
  rows->bind(1, scan.newest_first && scan.after == 0 ? INT64_MAX : scan.after).bind(2, scan.last);
  Clock clock(scan.time);
  Found found;
  DeliveryRow row;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    read_delivery(*rows, row);
    if (matches(selection, settled, row, rows->integer(14))) {
      ++found.matched;
      if (found.rows.size() < scan.limit) found.rows.push_back(row);
    }
    bool full = !scan.count_on && found.rows.size() >= scan.limit;
    if (!full && !clock.is_over()) continue;
    found.next = row.seq;
    return found;
  }
  if (code != SQLITE_DONE) return database_.fault("find deliveries");
  return found;
}

Result<std::vector<Job>> Reader::jobs(bool running_only) {
  auto rows = database_.prepare("SELECT " + std::string(kJobColumns) + " FROM job WHERE ?1 = 0 OR state = 'running' ORDER BY id");
  if (!rows) return rows.status();
  rows->bind(1, running_only);
  std::vector<Job> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    auto job = read_job(*rows);
    if (!job) return job.status();
    found.push_back(std::move(*job));
  }
  if (code != SQLITE_DONE) return database_.fault("read jobs");
  return found;
}

Result<std::vector<ListedDelivery>> Reader::listed(int64_t job, int64_t after, size_t limit) {
  auto rows = database_.prepare(
      "SELECT i.delivery, ifnull(d.plugin, ''), ifnull(d.subscriber, '') FROM job_item i LEFT JOIN delivery d ON d.seq = i.delivery "
      "WHERE i.job = ?1 AND i.delivery > ?2 ORDER BY i.delivery LIMIT ?3");
  if (!rows) return rows.status();
  rows->bind(1, job).bind(2, after).bind(3, static_cast<int64_t>(limit));
  std::vector<ListedDelivery> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) found.push_back({rows->integer(0), std::string(rows->text(1)), std::string(rows->text(2))});
  if (code != SQLITE_DONE) return database_.fault("read a job's deliveries");
  return found;
}

Result<std::vector<OpenDelivery>> Reader::replayed_deliveries(int64_t after, size_t limit) {
  auto rows = database_.prepare(
      "SELECT d.seq, d.event, d.plugin, d.subscriber, ifnull(e.provider, ''), ifnull(e.order_key, ''), d.attempts, d.due_at, d.replayed_at "
      "FROM delivery d INDEXED BY delivery_replayed LEFT JOIN event e ON e.seq = d.event "
      "WHERE d.replayed_at IS NOT NULL AND d.state IN ('queued', 'running') AND d.seq > ?1 ORDER BY d.seq LIMIT ?2");
  if (!rows) return rows.status();
  rows->bind(1, after).bind(2, static_cast<int64_t>(limit));
  std::vector<OpenDelivery> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    constexpr int kReplayedAt = 8;
    OpenDelivery& delivery = found.emplace_back();
    read_open_delivery(*rows, delivery);
    delivery.replayed_at = rows->integer(kReplayedAt);
  }
  if (code != SQLITE_DONE) return database_.fault("read replayed deliveries");
  return found;
}

Result<Upkeep::Prunable> Reader::prunable(const Cutoff& cutoff, const Scan& scan) {
  auto rows = database_.prepare("SELECT e.seq, e.received_at, " + std::string(kMayBePruned) +
                                " FROM event e WHERE e.seq > ?1 AND e.seq <= ?5 ORDER BY e.seq");
  if (!rows) return rows.status();
  rows->bind(1, scan.after).bind(2, cutoff.until).bind(3, cutoff.dead_until).bind(4, wall_ms()).bind(5, scan.last);
  Clock clock(scan.time);
  Upkeep::Prunable found;
  size_t young = 0;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    young = rows->integer(1) >= cutoff.until ? young + 1 : 0;
    if (young >= kYoungInARow) return found;
    if (rows->integer(2) != 0) found.events.push_back(rows->integer(0));
    if (found.events.size() < scan.limit && !clock.is_over()) continue;
    found.next = rows->integer(0);
    return found;
  }
  if (code != SQLITE_DONE) return database_.fault("find events to remove");
  return found;
}

Result<StoreSize> Reader::size() {
  int64_t values[3];
  const char* const pragmas[] = {"PRAGMA page_size", "PRAGMA page_count", "PRAGMA freelist_count"};
  for (size_t i = 0; i < std::size(values); ++i) {
    auto value = database_.integer(pragmas[i]);
    if (!value) return value.status();
    values[i] = *value;
  }
  auto bytes = [&](int64_t pages) { return static_cast<uint64_t>(std::max<int64_t>(0, pages) * values[0]); };
  return StoreSize{bytes(values[1] - values[2]), bytes(values[2])};
}

}  // namespace postern::store::sqlite
