#include "core/store/sqlite/reader.h"

#include <algorithm>
#include <cstring>

namespace postern::store::sqlite {
namespace {

// In the order that read_event() takes them.
#define EVENT_COLUMNS                                                                                                     \
  "e.seq, e.dedupe_key, e.dedupe_until, e.received_at, e.id, e.provider, e.type, e.external_id, e.order_key, e.depth, " \
  "e.method, e.target, e.remote"

// No delivery before it is queued.
#define FIRST_OPEN "(SELECT value FROM meta WHERE name = 'delivery_open_seq')"

// In the order that read_open_delivery() takes them.
#define OPEN_COLUMNS "d.seq, d.event, d.plugin, d.subscriber, ifnull(e.provider, ''), ifnull(e.order_key, ''), d.attempts, d.due_at"
constexpr int kEventAt = 8;  // behind them

#define FROM_OPEN                                                                                                               \
  " FROM delivery d LEFT JOIN event e ON e.seq = d.event WHERE d.state IN ('queued','running') AND d.replayed_at IS NULL AND " \
  "d.seq > ?1 AND d.seq <= ?2 AND (?4 = '' OR (d.plugin = ?4 AND d.subscriber = ?5)) ORDER BY d.seq LIMIT ?3"

void read_event(Statement& row, StoredEvent& event, int at = 0) {
  event.seq = row.integer(at);
  std::string_view key = row.blob(at + 1);
  if (key.size() == event.dedupe_key.size()) std::memcpy(event.dedupe_key.data(), key.data(), key.size());
  event.dedupe_until = row.integer(at + 2);
  event.received_at = row.integer(at + 3);
  event.id = row.text(at + 4);
  event.provider = row.text(at + 5);
  event.type = row.text(at + 6);
  event.external_id = row.text(at + 7);
  event.order_key = row.text(at + 8);
  event.depth = static_cast<uint32_t>(row.integer(at + 9));
  event.method = row.text(at + 10);
  event.target = row.text(at + 11);
  event.remote = row.text(at + 12);
}

std::shared_ptr<const StoredEvent> read_whole_event(Statement& row, int at) {
  auto event = std::make_shared<StoredEvent>();
  read_event(row, *event, at);
  event->headers = row.blob(at + 13);
  event->body = row.blob(at + 14);
  return event;
}

}  // namespace

const char* const kDeliveryColumns =
    "d.seq, d.event, e.id, e.type, d.plugin, d.subscriber, d.state, d.attempts, d.due_at, d.last_error, d.settled_at, "
    "d.duration_us, d.replayed_at, d.dropped_at";

void read_delivery(Statement& from, DeliveryRow& row) {
  row.seq = from.integer(0);
  row.event = from.integer(1);
  row.event_id = from.text(2);
  row.event_type = from.text(3);
  row.plugin = from.text(4);
  row.subscriber = from.text(5);
  row.state = from.text(6);
  row.attempts = static_cast<uint32_t>(from.integer(7));
  row.due_at = from.integer(8);
  row.last_error = from.text(9);
  row.settled_at = from.integer(10);
  row.duration_us = from.integer(11);
  row.replayed_at = from.integer(12);
  row.dropped_at = from.integer(13);
}

void read_open_delivery(Statement& from, OpenDelivery& d) {
  d.seq = from.integer(0);
  d.event_seq = from.integer(1);
  d.plugin = from.text(2);
  d.subscriber = from.text(3);
  d.provider = from.text(4);
  d.order_key = from.text(5);
  d.attempts = static_cast<uint32_t>(from.integer(6));
  d.due_at = from.integer(7);
}

Result<std::unique_ptr<Reader>> Reader::open(const std::string& path) {
  auto database = Database::open(path, true);
  if (!database) return database.status();
  auto reader = std::make_unique<Reader>();
  reader->database_ = std::move(*database);
  if (Status s = reader->database_.execute("PRAGMA cache_size=-2000"); !s) return s;
  struct Wanted {
    Statement* statement;
    const char* sql;
  };
  const Wanted wanted[] = {
      {&reader->open_bounds_, "SELECT " FIRST_OPEN " - 1, ifnull((SELECT max(seq) FROM delivery), 0)"},
      {&reader->open_deliveries_, "SELECT " OPEN_COLUMNS FROM_OPEN},
      {&reader->open_with_events_, "SELECT " OPEN_COLUMNS ", " EVENT_COLUMNS ", e.headers, e.body" FROM_OPEN},
      {&reader->event_, "SELECT " EVENT_COLUMNS ", e.headers, e.body FROM event e WHERE e.seq = ?1"},
      {&reader->record_, "SELECT value, version FROM record WHERE plugin = ?1 AND collection = ?2 AND key = ?3"},
  };
  for (const Wanted& w : wanted) {
    auto statement = reader->database_.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }
  return reader;
}

Result<OpenPage> Reader::open_deliveries(const OpenQuery& query) {
  ResetAtEnd reset_bounds(open_bounds_);
  if (open_bounds_.step() != SQLITE_ROW) return database_.fault("read the marks");
  const int64_t from = std::max(query.after, open_bounds_.integer(0)), last = std::max(query.after, open_bounds_.integer(1));
  OpenPage page;
  page.up_to = query.plugin.empty() ? last : std::min(last, from + query.look_at);
  page.whole = page.up_to == last;
  int64_t after = from;
  auto begin = [&](Statement& rows) {
    rows.bind(1, after).bind(2, page.up_to).bind(3, static_cast<int64_t>(query.limit - page.deliveries.size()));
    rows.bind(4, query.plugin).bind(5, query.subscriber);
  };
  bool ended = false;
  // Beside its delivery an event is read for a fraction of what it costs alone.
  if (query.event_bytes > 0) {
    ResetAtEnd reset(open_with_events_);
    begin(open_with_events_);
    int code = SQLITE_ROW;
    for (size_t bytes = 0; bytes < query.event_bytes && (code = open_with_events_.step()) == SQLITE_ROW;) {
      OpenDelivery& delivery = page.deliveries.emplace_back();
      read_open_delivery(open_with_events_, delivery);
      if (open_with_events_.is_null(kEventAt)) continue;  // somebody removed it
      delivery.event = read_whole_event(open_with_events_, kEventAt);
      bytes += delivery.event->headers.size() + delivery.event->body.size();
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW) return database_.fault("read open deliveries");
    ended = code == SQLITE_DONE;
    if (!page.deliveries.empty()) after = page.deliveries.back().seq;
  }
  if (!ended) {
    ResetAtEnd reset(open_deliveries_);
    begin(open_deliveries_);
    int code;
    while ((code = open_deliveries_.step()) == SQLITE_ROW) read_open_delivery(open_deliveries_, page.deliveries.emplace_back());
    if (code != SQLITE_DONE) return database_.fault("read open deliveries");
  }
  if (page.deliveries.size() < query.limit) return page;
  page.up_to = page.deliveries.empty() ? query.after : page.deliveries.back().seq;
  page.whole = false;
  return page;
}

Result<OpenSummary> Reader::sum_up_open_deliveries() {
  // The newest first: what comes between the two looks is told by somebody else.
  auto newest = database_.integer("SELECT ifnull(max(seq), 0) FROM delivery");
  if (!newest) return newest.status();
  auto rows = database_.prepare(
      "SELECT plugin, subscriber, sum(n), max(first) FROM ("
      "SELECT plugin, subscriber, count(*) AS n, min(seq) AS first FROM delivery WHERE state IN ('queued','running') "
      "AND replayed_at IS NULL AND seq >= " FIRST_OPEN " AND seq <= ?1 GROUP BY plugin, subscriber "
      "UNION ALL SELECT plugin, subscriber, count(*), 0 FROM delivery INDEXED BY delivery_replayed "
      "WHERE state IN ('queued','running') AND replayed_at IS NOT NULL GROUP BY plugin, subscriber) GROUP BY plugin, subscriber");
  if (!rows) return rows.status();
  rows->bind(1, *newest);
  OpenSummary summary;
  summary.newest = *newest;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    OpenCount& count = summary.counts.emplace_back();
    count.plugin = rows->text(0);
    count.subscriber = rows->text(1);
    count.deliveries = static_cast<uint64_t>(rows->integer(2));
    count.first = rows->integer(3);
  }
  if (code != SQLITE_DONE) return database_.fault("count open deliveries");
  return summary;
}

Result<std::shared_ptr<const StoredEvent>> Reader::event(int64_t seq) {
  ResetAtEnd reset(event_);
  event_.bind(1, seq);
  int code = event_.step();
  if (code == SQLITE_DONE) return Status(Code::kNotFound, "no such event");
  if (code != SQLITE_ROW) return database_.fault("read an event");
  return read_whole_event(event_, 0);
}

Result<std::optional<Record>> Reader::record(const std::string& plugin, const std::string& collection, const std::string& key) {
  ResetAtEnd reset(record_);
  record_.bind(1, plugin).bind(2, collection).bind(3, key);
  int code = record_.step();
  if (code == SQLITE_DONE) return std::optional<Record>();
  if (code != SQLITE_ROW) return database_.fault("read a record");
  return std::optional<Record>(Record{std::string(record_.text(0)), static_cast<uint64_t>(record_.integer(1))});
}

Result<std::vector<NamedRecord>> Reader::records(const RecordFilter& filter, const std::map<std::string, Record>& newest) {
  auto rows = database_.prepare(
      "SELECT key, value, version FROM record WHERE plugin = ?1 AND collection = ?2 AND key >= ?3 AND key > ?4 ORDER BY key");
  if (!rows) return rows.status();
  rows->bind(1, filter.plugin).bind(2, filter.collection).bind(3, filter.prefix).bind(4, filter.after);
  std::vector<NamedRecord> page;
  size_t bytes = 0;
  auto is_full = [&] { return page.size() >= filter.limit || bytes >= kMaxPageBytes; };
  auto add = [&](std::string_view key, std::string_view value, uint64_t version) {
    bytes += value.size();
    page.push_back({{std::string(value), version}, std::string(key)});
  };
  auto next = newest.begin();
  auto add_newest_up_to = [&](std::string_view key) {  // and not that one
    for (; next != newest.end() && (key.empty() || next->first < key) && !is_full(); ++next) {
      if (next->second.version != 0) add(next->first, next->second.value, next->second.version);
    }
  };
  int code = SQLITE_DONE;
  while (!is_full() && (code = rows->step()) == SQLITE_ROW) {
    std::string_view key = rows->text(0);
    if (!key.starts_with(filter.prefix)) break;
    add_newest_up_to(key);
    if (is_full() || newest.contains(std::string(key))) continue;
    add(key, rows->text(1), static_cast<uint64_t>(rows->integer(2)));
  }
  if (code != SQLITE_DONE && code != SQLITE_ROW) return database_.fault("list records");
  add_newest_up_to("");
  return page;
}

Result<std::vector<EventRow>> Reader::events(const EventFilter& filter) {
  auto rows = database_.prepare(
      "SELECT " EVENT_COLUMNS
      ", CASE WHEN ?4 THEN e.headers ELSE x'' END, CASE WHEN ?4 THEN e.body ELSE x'' END, "
      "(SELECT CASE WHEN count(*) = 0 THEN 'none' WHEN max(state IN ('queued','running')) THEN 'queued' "
      "        WHEN max(state = 'dead') THEN 'dead' ELSE 'done' END FROM delivery d "
      " WHERE d.seq >= e.first_delivery AND d.seq < e.first_delivery + e.deliveries) "
      "FROM event e WHERE (?1 IS NULL OR e.seq = ?1) AND (?2 = 0 OR e.seq < ?2) AND (?3 = '' OR e.type GLOB ?3) "
      "ORDER BY e.seq DESC LIMIT ?5");
  if (!rows) return rows.status();
  filter.seq ? rows->bind(1, *filter.seq) : rows->bind_null(1);
  rows->bind(2, filter.before_seq).bind(3, filter.type).bind(4, filter.with_content).bind(5, static_cast<int64_t>(filter.limit));
  std::vector<EventRow> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    EventRow& row = found.emplace_back();
    read_event(*rows, row);
    row.headers = rows->blob(13);
    row.body = rows->blob(14);
    row.state = rows->text(15);
  }
  if (code != SQLITE_DONE) return database_.fault("list events");
  return found;
}

Result<std::vector<DeliveryRow>> Reader::deliveries(const DeliveryFilter& filter) {
  // One query for each way in, so that each finds its index.
  std::string sql = "SELECT " + std::string(kDeliveryColumns) +
      " FROM delivery d LEFT JOIN event e ON e.seq = d.event WHERE (?1 = 0 OR d.seq < ?1)";
  if (filter.seq) sql += " AND d.seq = ?3";
  if (filter.event) {
    sql += " AND d.event = ?4 AND d.seq >= (SELECT first_delivery FROM event WHERE seq = ?4)"
           " AND d.seq < (SELECT first_delivery + deliveries FROM event WHERE seq = ?4)";
  }
  if (filter.state == "dead") sql += " AND d.state = 'dead'";
  if (filter.state == "queued") {
    sql += " AND d.seq IN (SELECT * FROM (SELECT seq FROM delivery WHERE state IN ('queued','running') AND replayed_at IS NOT NULL)"
           " UNION ALL SELECT * FROM (SELECT seq FROM delivery WHERE state IN ('queued','running') AND replayed_at IS NULL"
           " AND (?1 = 0 OR seq < ?1) AND seq >= " FIRST_OPEN " ORDER BY seq DESC LIMIT ?2))";
  }
  if (filter.state == "done") sql += " AND d.state = 'done'";
  sql += " ORDER BY d.seq DESC LIMIT ?2";
  auto rows = database_.prepare(sql);
  if (!rows) return rows.status();
  rows->bind(1, filter.before_seq).bind(2, static_cast<int64_t>(filter.limit));
  if (filter.seq) rows->bind(3, *filter.seq);
  if (filter.event) rows->bind(4, *filter.event);
  std::vector<DeliveryRow> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    read_delivery(*rows, found.emplace_back());
  }
  if (code != SQLITE_DONE) return database_.fault("list deliveries");
  return found;
}

Result<std::vector<AttemptRow>> Reader::attempts(int64_t delivery) {
  auto rows = database_.prepare("SELECT delivery, n, started_at, duration_us, outcome, detail FROM attempt WHERE delivery = ?1 ORDER BY n");
  if (!rows) return rows.status();
  rows->bind(1, delivery);
  std::vector<AttemptRow> found;
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    found.push_back({rows->integer(0), static_cast<uint32_t>(rows->integer(1)), rows->integer(2), rows->integer(3),
                     std::string(rows->text(4)), std::string(rows->text(5))});
  }
  if (code != SQLITE_DONE) return database_.fault("read attempts");
  return found;
}

}  // namespace postern::store::sqlite
