// What a Reader counts for Reports.
#include <algorithm>

#include "core/store/sqlite/reader.h"

namespace postern::store::sqlite {

// Events are numbered as they come, so that the one to begin with is found by halving, without an index of times. A clock that was set back
// meanwhile makes that a near guess: the times themselves decide on each event.
Result<int64_t> Reader::first_event_from(int64_t time) {
  auto bounds = database_.prepare("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)");
  auto next = database_.prepare("SELECT seq, received_at FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1");
  if (!bounds || !next) return bounds ? next.status() : bounds.status();
  if (bounds->step() != SQLITE_ROW) return database_.fault("look for the events of a time");
  int64_t low = bounds->integer(0), high = bounds->integer(1) + 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    next->reset();
    const int code = next->bind(1, middle).step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) return database_.fault("look for the events of a time");
    if (code == SQLITE_DONE || next->integer(1) >= time) {
      high = middle;
    } else {
      low = next->integer(0) + 1;
    }
  }
  return low;
}

namespace {

// That a bare column goes with the row that has the maximum is documented (https://www.sqlite.org/lang_select.html, "bare columns").
constexpr const char* kReceived =
    "SELECT provider, count(*) FROM event WHERE seq >= ?1 AND seq < ?2 AND received_at >= ?3 AND received_at < ?4 GROUP BY provider";
constexpr const char* kSettled =
    "SELECT e.provider, d.state, count(*), max(d.settled_at - e.received_at), e.id, e.type FROM event e JOIN delivery d "
    "ON d.seq >= e.first_delivery AND d.seq < e.first_delivery + e.deliveries "
    "WHERE e.seq >= ?1 AND e.seq < ?2 AND e.received_at >= ?3 AND e.received_at < ?4 GROUP BY e.provider, d.state";

void add_deliveries(Statement& row, ProviderReport& to) {
  const std::string_view state = row.text(1);
  const auto count = static_cast<uint64_t>(row.integer(2));
  if (state == "dead") {
    to.dead += count;
  } else if (state != "done") {
    to.waiting += count;
  } else {
    to.done += count;
    if (row.integer(3) <= to.slowest_ms) return;
    to.slowest_ms = row.integer(3);
    to.slowest_event = row.text(4);
    to.slowest_type = row.text(5);
  }
}

}  // namespace

Status Reader::add_to_report(const ReportPage& page, std::map<std::string, ProviderReport>& providers) {
  auto run = [&](const char* sql, auto add) -> Status {
    auto rows = database_.prepare(sql);
    if (!rows) return rows.status();
    rows->bind(1, page.first).bind(2, page.last).bind(3, page.from).bind(4, page.to);
    int code;
    while ((code = rows->step()) == SQLITE_ROW) add(*rows, providers[std::string(rows->text(0))]);
    return code == SQLITE_DONE ? Status::ok() : database_.fault("count events for a report");
  };
  auto add_events = [](Statement& row, ProviderReport& to) { to.received += static_cast<uint64_t>(row.integer(1)); };
  if (Status s = run(kReceived, add_events); !s) return s;
  return run(kSettled, add_deliveries);
}

// A page at a time: a statement that is long under way keeps the log from being emptied.
Result<std::vector<ProviderReport>> Reader::report_by_provider(int64_t from, int64_t to) {
  constexpr int64_t kPage = 20'000;
  auto first = first_event_from(from), last = first_event_from(to);
  if (!first || !last) return first ? last.status() : first.status();
  std::map<std::string, ProviderReport> providers;
  for (int64_t at = *first; at < *last; at += kPage) {
    if (Status s = add_to_report({at, std::min(at + kPage, *last), from, to}, providers); !s) return s;
  }
  std::vector<ProviderReport> reports;
  for (auto& [name, report] : providers) {
    report.provider = name;
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace postern::store::sqlite
