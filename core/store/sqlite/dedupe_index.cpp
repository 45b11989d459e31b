#include "core/store/sqlite/dedupe_index.h"

#include <algorithm>
#include <utility>

namespace postern::store::sqlite {
namespace {

constexpr int64_t kExpireEveryMs = 3'600'000;

std::string_view bytes(const DedupeIndex::Key& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

}  // namespace

Status DedupeIndex::load(Database& database, int64_t last_seq) {
  last_seq_ = last_seq;
  struct Wanted {
    Statement* statement;
    const char* sql;
  };
  const Wanted wanted[] = {
      {&find_, "SELECT event, expires_at FROM dedupe WHERE key = ?1"},
      {&insert_, "INSERT OR REPLACE INTO dedupe (key, event, expires_at) VALUES (?1, ?2, ?3)"},
      {&expire_, "DELETE FROM dedupe WHERE key > ?1 AND key < ?2 AND expires_at < ?3"},
      {&set_merged_, "UPDATE meta SET value = ?1 WHERE name = 'dedupe_merged_seq'"},
  };
  for (const Wanted& w : wanted) {
    auto statement = database.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }

  if (Status s = load_filter(database); !s) return s;
  return load_fresh(database);
}

// In the order of the table: the disk reads forward, and the filter takes any order.
Status DedupeIndex::load_filter(Database& database) {
  auto rows = database.prepare("SELECT key, expires_at FROM dedupe");
  if (!rows) return rows.status();
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    std::string_view key = rows->blob(0);
    Key parsed;
    if (key.size() != parsed.size()) return {Code::kCorrupt, "dedupe: a malformed key"};
    std::memcpy(parsed.data(), key.data(), key.size());
    filter_.add(parsed, rows->integer(1));
  }
  return code == SQLITE_DONE ? Status::ok() : database.fault("read keys");
}

Status DedupeIndex::load_fresh(Database& database) {
  auto merged_seq = database.integer("SELECT value FROM meta WHERE name = 'dedupe_merged_seq'");
  if (!merged_seq) return merged_seq.status();
  auto rows = database.prepare("SELECT dedupe_key, dedupe_until, id FROM event WHERE seq > ?1 AND dedupe_until > 0 ORDER BY seq");
  if (!rows) return rows.status();
  rows->bind(1, *merged_seq);
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    std::string_view key = rows->blob(0), id = rows->text(2);
    Key parsed;
    Entry entry;
    if (key.size() != parsed.size() || id.size() != entry.event_id.size()) return {Code::kCorrupt, "event: a malformed key"};
    std::memcpy(parsed.data(), key.data(), key.size());
    id.copy(entry.event_id.data(), id.size());
    entry.until_ms = rows->integer(1);
    keep(parsed, entry);
  }
  return code == SQLITE_DONE ? Status::ok() : database.fault("read keys of events");
}

void DedupeIndex::keep(const Key& key, const Entry& entry) {
  fresh_->keys.insert_or_assign(key, entry);
  filter_.add(key, entry.until_ms);
}

Result<std::optional<std::string>> DedupeIndex::find(const Key& key, int64_t now_ms) {
  if (!filter_.may_have(key)) return std::optional<std::string>();
  for (const Generation* generation : {fresh_.get(), frozen_.get()}) {
    auto found = generation->keys.find(key);
    if (found == generation->keys.end()) continue;
    if (found->second.until_ms <= now_ms) return std::optional<std::string>();
    return std::optional<std::string>(std::string(found->second.event_id.data(), found->second.event_id.size()));
  }
  find_.bind_blob(1, bytes(key));
  ResetAtEnd reset(find_);
  int code = find_.step();
  if (code == SQLITE_DONE) return std::optional<std::string>();
  if (code != SQLITE_ROW) return Status(is_fatal(code) ? Code::kIo : Code::kUnavailable, "look up a key");
  if (find_.integer(1) <= now_ms) return std::optional<std::string>();
  return std::optional<std::string>(std::string(find_.text(0)));
}

void DedupeIndex::insert(const Key& key, int64_t seq, std::string_view event_id, int64_t until_ms) {
  Entry entry;
  event_id.copy(entry.event_id.data(), entry.event_id.size());
  entry.until_ms = until_ms;
  keep(key, entry);
  uncommitted_.push_back(key);
  last_seq_ = std::max(last_seq_, seq);
}

void DedupeIndex::commit() {
  uncommitted_.clear();
  if (pass_finished_) {
    frozen_ = std::make_unique<Generation>(0);
    frozen_order_.clear();
    merged_ = 0;
    pass_finished_ = false;
  }
  merged_before_transaction_ = merged_;
}

void DedupeIndex::rollback() {
  // An expired entry that was overwritten is forgotten with it: the key counts as new again, which is what it was.
  for (const Key& key : uncommitted_) fresh_->keys.erase(key);  // the filter may say too much
  uncommitted_.clear();
  merged_ = merged_before_transaction_;
  pass_finished_ = false;
}

// Only between transactions, so that all of the generation is durable in `event`.
void DedupeIndex::freeze(int64_t now_ms) {
  frozen_ = std::exchange(fresh_, std::make_unique<Generation>(merge_at_));
  frozen_order_.reserve(frozen_->keys.size());
  for (const auto& [key, entry] : frozen_->keys) frozen_order_.push_back(key);
  std::sort(frozen_order_.begin(), frozen_order_.end());
  frozen_seq_ = last_seq_;
  // It walks through the whole table, which would cost more than the merging if each pass did it.
  expires_ = now_ms - expired_at_ms_ >= kExpireEveryMs || now_ms < expired_at_ms_;
  if (!expires_) return;
  expired_at_ms_ = now_ms;
  filter_.drop_expired(now_ms);
}

Status DedupeIndex::merge(size_t budget, int64_t now_ms) {
  if (frozen_order_.empty()) {
    if (fresh_->keys.size() < merge_at_ || !uncommitted_.empty()) return Status::ok();
    freeze(now_ms);
  }
  Key previous{};
  if (merged_ > 0) previous = frozen_order_[merged_ - 1];
  size_t end = std::min(frozen_order_.size(), merged_ + budget);
  for (; merged_ < end; ++merged_) {
    const Key& key = frozen_order_[merged_];
    const Entry& entry = frozen_->keys.find(key)->second;
    int code = SQLITE_DONE;
    if (expires_) code = expire_.bind_blob(1, bytes(previous)).bind_blob(2, bytes(key)).bind(3, now_ms).run();
    if (code == SQLITE_DONE && entry.until_ms > now_ms) {
      code = insert_.bind_blob(1, bytes(key)).bind(2, {entry.event_id.data(), entry.event_id.size()}).bind(3, entry.until_ms).run();
    }
    if (code != SQLITE_DONE) return {is_fatal(code) ? Code::kIo : Code::kUnavailable, "merge keys"};
    previous = key;
  }
  if (merged_ < frozen_order_.size() || pass_finished_) return Status::ok();
  return finish_pass();
}

Status DedupeIndex::finish_pass() {
  int code = set_merged_.bind(1, frozen_seq_).run();
  if (code != SQLITE_DONE) return {is_fatal(code) ? Code::kIo : Code::kUnavailable, "merge keys"};
  pass_finished_ = true;
  return Status::ok();
}

}  // namespace postern::store::sqlite
