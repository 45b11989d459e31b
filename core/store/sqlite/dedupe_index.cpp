#include "core/store/sqlite/dedupe_index.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace postern::store::sqlite {
namespace {

constexpr size_t kRows = 32;           // of insert_many_
constexpr size_t kSegmentShare = 16;   // a new segment is a sixteenth of all there are ...
constexpr size_t kMostAtOnce = 5;      // ... but at most so many times the smallest: it is held in memory

std::string_view bytes(const DedupeIndex::Key& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

// A key is cut from SHA-256: any bits of it are as good as a hash.
BloomFilter::Hash hash_of(const DedupeIndex::Key& key) {
  BloomFilter::Hash hash;
  static_assert(sizeof hash == sizeof key);
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

std::string insert_sql(size_t rows) {
  std::string sql = "INSERT OR REPLACE INTO dedupe (segment, key, event, expires_at) VALUES ";
  for (size_t i = 0; i < rows; ++i) {
    std::string n = std::to_string(3 * i + 2), o = std::to_string(3 * i + 3), p = std::to_string(3 * i + 4);
    sql += (i == 0 ? "(?1,?" : ",(?1,?") + n + ",?" + o + ",?" + p + ")";
  }
  return sql;
}

bool copy_key(std::string_view from, DedupeIndex::Key& to) {
  if (from.size() != to.size()) return false;
  std::memcpy(to.data(), from.data(), to.size());
  return true;
}

}  // namespace

Status DedupeIndex::load(Database& database, int64_t last_seq) {
  last_seq_ = last_seq;
  if (Status s = prepare(database); !s) return s;
  auto merged_seq = database.integer("SELECT value FROM meta WHERE name = 'dedupe_merged_seq'");
  if (!merged_seq) return merged_seq.status();
  merged_seq_ = *merged_seq;
  if (Status s = load_segments(database); !s) return s;
  return load_fresh(database);
}

Status DedupeIndex::prepare(Database& database) {
  struct Wanted {
    Statement* statement;
    std::string sql;
  };
  const Wanted wanted[] = {
      {&find_, "SELECT event, expires_at FROM dedupe WHERE segment = ?1 AND key = ?2"},
      {&insert_one_, insert_sql(1)},
      {&insert_many_, insert_sql(kRows)},
      {&drop_,
       "DELETE FROM dedupe WHERE segment = ?1 AND key <= ifnull((SELECT key FROM dedupe WHERE segment = ?1 ORDER BY key "
       "LIMIT 1 OFFSET ?2), x'ffffffffffffffffffffffffffffffffff')"},
      {&set_merged_, "UPDATE meta SET value = ?1 WHERE name = 'dedupe_merged_seq'"},
  };
  for (const Wanted& w : wanted) {
    auto statement = database.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }
  return Status::ok();
}

// In the order of the table, so that the disk reads forward.
Status DedupeIndex::load_segments(Database& database) {
  auto rows = database.prepare("SELECT segment, key, expires_at FROM dedupe ORDER BY segment, key");
  if (!rows) return rows.status();
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    Key key;
    if (!copy_key(rows->blob(1), key)) return {Code::kCorrupt, "dedupe: a malformed key"};
    int64_t number = rows->integer(0), until = rows->integer(2);
    if (number > merged_seq_) {  // what a pass has left that the last stop cut short; its keys are read from `event`
      if (expired_.empty() || expired_.back() != number) expired_.push_back(number);
      continue;
    }
    if (segments_.empty() || segments_.back().number != number) segments_.push_back({number, 0, 0});
    segments_.back().until_ms = std::max(segments_.back().until_ms, until);
    ++segments_.back().keys;
    filter_.add(hash_of(key), until);
  }
  return code == SQLITE_DONE ? Status::ok() : database.fault("read keys");
}

Status DedupeIndex::load_fresh(Database& database) {
  auto rows = database.prepare("SELECT dedupe_key, dedupe_until, id FROM event WHERE seq > ?1 AND dedupe_until > 0 ORDER BY seq");
  if (!rows) return rows.status();
  rows->bind(1, merged_seq_);
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    std::string_view id = rows->text(2);
    SeenKey entry;
    if (!copy_key(rows->blob(0), entry.key) || id.size() != entry.event_id.size()) return {Code::kCorrupt, "event: a malformed key"};
    id.copy(entry.event_id.data(), id.size());
    entry.until_ms = rows->integer(1);
    keep(entry);
  }
  fresh_.commit();
  return code == SQLITE_DONE ? Status::ok() : database.fault("read keys of events");
}

void DedupeIndex::keep(const SeenKey& entry) {
  fresh_.add(entry);
  filter_.add(hash_of(entry.key), entry.until_ms);
}

const SeenKey* DedupeIndex::in_memory(const Key& key) const {
  if (const SeenKey* found = fresh_.find(key)) return found;
  return frozen_ ? frozen_->find(key) : nullptr;
}

Result<std::optional<std::string>> DedupeIndex::find(const Key& key, int64_t now_ms) {
  if (!filter_.may_have(hash_of(key))) return std::optional<std::string>();
  if (const SeenKey* entry = in_memory(key)) {
    if (entry->until_ms <= now_ms) return std::optional<std::string>();
    return std::optional<std::string>(std::string(entry->event_id.data(), entry->event_id.size()));
  }
  // A key that was taken again after it had expired is in two segments: the newer one counts.
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    find_.bind(1, segment->number).bind_blob(2, bytes(key));
    ResetAtEnd reset(find_);
    int code = find_.step();
    if (code == SQLITE_DONE) continue;
    if (code != SQLITE_ROW) return Status(is_fatal(code) ? Code::kIo : Code::kUnavailable, "look up a key");
    if (find_.integer(1) <= now_ms) break;
    return std::optional<std::string>(std::string(find_.text(0)));
  }
  return std::optional<std::string>();
}

void DedupeIndex::insert(const Key& key, int64_t seq, std::string_view event_id, int64_t until_ms) {
  SeenKey entry{key, {}, until_ms};
  event_id.copy(entry.event_id.data(), entry.event_id.size());
  keep(entry);
  last_seq_ = std::max(last_seq_, seq);
}

void DedupeIndex::commit() {
  fresh_.commit();
  if (pass_finished_) {
    segments_.push_back({frozen_seq_, merged_.until_ms, merged_.keys});
    merged_seq_ = frozen_seq_;
    frozen_.reset();
    merged_ = {};
    pass_finished_ = false;
  }
  if (std::exchange(dropped_all_, false)) expired_.pop_back();
  merged_before_ = merged_;
}

void DedupeIndex::rollback() {
  // The filter may say too much now.
  while (fresh_.uncommitted() > 0) fresh_.take_back();
  merged_ = merged_before_;
  pass_finished_ = dropped_all_ = false;
}

size_t DedupeIndex::segment_size() const {
  size_t all = 0;
  for (const Segment& segment : segments_) all += segment.keys;
  return std::clamp(all / kSegmentShare, merge_at_, kMostAtOnce * merge_at_);
}

// Only between transactions, so that all of the segment is durable in `event`.
void DedupeIndex::freeze(int64_t now_ms) {
  frozen_ = std::move(fresh_);
  frozen_seq_ = last_seq_;
  // What a pass before the last stop has left of this very segment is written anew.
  std::erase_if(segments_, [this](const Segment& segment) { return segment.number == frozen_seq_; });
  std::erase(expired_, frozen_seq_);
  for (const Segment& segment : segments_) {
    if (segment.until_ms <= now_ms) expired_.push_back(segment.number);
  }
  std::erase_if(segments_, [now_ms](const Segment& segment) { return segment.until_ms <= now_ms; });
  filter_.drop_expired(now_ms);
  fresh_ = FreshKeys(segment_size());
}

Status DedupeIndex::merge(size_t budget, int64_t now_ms) {
  if (!frozen_) {
    if (fresh_.size() < segment_size() || fresh_.uncommitted() > 0) return Status::ok();
    freeze(now_ms);
  }
  if (pass_finished_) return Status::ok();
  if (Status s = drop_expired(budget); !s) return s;
  return write_frozen(budget);
}

Status DedupeIndex::write_frozen(size_t budget) {
  if (budget == 0) return Status::ok();
  std::vector<const SeenKey*> next;
  size_t place = merged_.place;
  for (size_t before = 1; next.size() < budget && before != next.size();) {
    before = next.size();
    place = frozen_->take_sorted(place, next);
  }
  for (size_t at = 0; at < next.size();) {
    size_t rows = next.size() - at >= kRows ? kRows : 1;
    if (Status s = insert(next.data() + at, rows); !s) return s;
    at += rows;
  }
  merged_.place = place;
  merged_.keys += next.size();
  for (const SeenKey* seen : next) merged_.until_ms = std::max(merged_.until_ms, seen->until_ms);
  if (next.size() >= budget) return Status::ok();  // there may be more
  return finish_pass();
}

Status DedupeIndex::insert(const SeenKey* const* rows, size_t count) {
  Statement& insert = count == kRows ? insert_many_ : insert_one_;
  insert.bind(1, frozen_seq_);
  for (size_t i = 0; i < count; ++i) {
    int at = static_cast<int>(3 * i) + 2;
    insert.bind_blob(at, bytes(rows[i]->key)).bind(at + 1, std::string_view(rows[i]->event_id.data(), rows[i]->event_id.size()));
    insert.bind(at + 2, rows[i]->until_ms);
  }
  return run(insert);
}

// All of the segment is in the table.
Status DedupeIndex::finish_pass() {
  // The mark tells a segment that is complete from one that is not: as long as any is left of these, it stays where it is.
  bool leftovers = std::any_of(expired_.begin(), expired_.end(), [this](int64_t number) { return number > merged_seq_; });
  if (leftovers) return Status::ok();
  if (Status s = run(set_merged_.bind(1, frozen_seq_)); !s) return s;
  pass_finished_ = true;
  return Status::ok();
}

Status DedupeIndex::drop_expired(size_t budget) {
  if (expired_.empty() || dropped_all_ || budget == 0) return Status::ok();
  int64_t segment = expired_.back();
  if (Status s = run(drop_.bind(1, segment).bind(2, static_cast<int64_t>(budget) - 1)); !s) return s;
  dropped_all_ = sqlite3_changes(drop_.connection()) < static_cast<int64_t>(budget);
  return Status::ok();
}

Status DedupeIndex::run(Statement& statement) {
  int code = statement.run();
  return code == SQLITE_DONE ? Status::ok() : Status(is_fatal(code) ? Code::kIo : Code::kUnavailable, "merge keys");
}

}  // namespace postern::store::sqlite
