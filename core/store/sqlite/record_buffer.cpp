#include "core/store/sqlite/record_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace postern::store::sqlite {
namespace {

struct Name {
  std::string_view plugin, collection, key;
};

// The lengths of plugin and collection stand in front, since any byte may be in them.
void append_length(std::string& id, size_t length) {
  auto bytes = static_cast<uint32_t>(length);
  char raw[sizeof bytes];
  std::memcpy(raw, &bytes, sizeof bytes);
  id.append(raw, sizeof raw);
}

Name parse(std::string_view id) {
  uint32_t plugin, collection;
  std::memcpy(&plugin, id.data(), sizeof plugin);
  std::memcpy(&collection, id.data() + sizeof plugin, sizeof collection);
  std::string_view rest = id.substr(sizeof plugin + sizeof collection);
  return {rest.substr(0, plugin), rest.substr(plugin, collection), rest.substr(plugin + collection)};
}

}  // namespace

std::string RecordBuffer::id_of(std::string_view plugin, std::string_view collection, std::string_view key) {
  std::string id;
  id.reserve(2 * sizeof(uint32_t) + plugin.size() + collection.size() + key.size());
  append_length(id, plugin.size());
  append_length(id, collection.size());
  return id.append(plugin).append(collection).append(key);
}

Status RecordBuffer::load(Database& database) {
  database_ = &database;
  struct Wanted {
    Statement* statement;
    const char* sql;
  };
  const Wanted wanted[] = {
      {&version_, "SELECT version FROM record WHERE plugin=?1 AND collection=?2 AND key=?3"},
      {&put_,
       "INSERT INTO record (plugin, collection, key, value, version, updated_at) VALUES (?1,?2,?3,?4,?5,?6) "
       "ON CONFLICT (plugin, collection, key) DO UPDATE SET value = ?4, version = ?5, updated_at = ?6"},
      {&remove_, "DELETE FROM record WHERE plugin=?1 AND collection=?2 AND key=?3"},
      {&append_,
       "INSERT INTO record_log (seq, plugin, collection, key, value, version, updated_at) VALUES (?1,?2,?3,?4,?5,?6,?7)"},
      {&set_merged_, "UPDATE meta SET value = ?1 WHERE name = 'record_merged_seq'"},
      {&purge_, "DELETE FROM record_log WHERE seq >= ?1 AND seq < ?2"},
  };
  for (const Wanted& w : wanted) {
    auto statement = database.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }

  auto merged = database.integer("SELECT value FROM meta WHERE name = 'record_merged_seq'");
  if (!merged) return merged.status();
  auto first = database.integer("SELECT ifnull(min(seq), 0) FROM record_log");
  if (!first) return first.status();
  merged_seq_ = *merged;
  purge_next_ = purge_before_ = *first > 0 ? *first : merged_seq_ + 1;
  log_seq_ = merged_seq_;

  auto rows = database.prepare(
      "SELECT seq, plugin, collection, key, value, version, updated_at FROM record_log WHERE seq > ?1 ORDER BY seq");
  if (!rows) return rows.status();
  rows->bind(1, merged_seq_);
  MutexLock lock(mutex_);
  int code;
  while ((code = rows->step()) == SQLITE_ROW) {
    log_seq_ = rows->integer(0);
    Entry entry{std::string(rows->text(4)), static_cast<uint64_t>(rows->integer(5)), rows->integer(6)};
    auto [place, is_new] = fresh_.insert_or_assign(id_of(rows->text(1), rows->text(2), rows->text(3)), std::move(entry));
    if (!is_new) continue;
    filter_.add(place->first);
    known_.add(place->first);
  }
  if (code != SQLITE_DONE) return database.fault("read records of the log");
  committed_seq_ = log_seq_;
  entries_ = fresh_.size();
  for (const auto& [id, entry] : fresh_) bytes_ += bytes_of(id, entry);
  return Status::ok();
}

const RecordBuffer::Entry* RecordBuffer::in_maps(const std::string& id) const {
  if (!filter_.may_have(id)) return nullptr;
  for (const Map* map : {&fresh_, &frozen_}) {
    if (auto found = map->find(id); found != map->end()) return &found->second;
  }
  return nullptr;
}

RecordBuffer::Found RecordBuffer::find(const std::string& id) const {
  {
    MutexLock lock(mutex_);
    if (const Entry* entry = in_maps(id)) return {Record{entry->value, entry->version}, false};
  }
  return {std::nullopt, known_.may_have(id)};
}

// Both maps as one, in order: of equal keys the newer one.
template <typename Visit>
void RecordBuffer::visit(const RecordFilter& filter, Visit visit) const {
  const std::string collection = id_of(filter.plugin, filter.collection, "");
  const std::string prefix = collection + filter.prefix, after = collection + filter.after;
  auto first = [&](const Map& map) { return after < prefix ? map.lower_bound(prefix) : map.upper_bound(after); };
  auto in_page = [&](const Map& map, Map::const_iterator at) { return at != map.end() && at->first.starts_with(prefix); };
  auto fresh = first(fresh_), frozen = first(frozen_);
  for (bool more = true; more;) {
    bool has_fresh = in_page(fresh_, fresh), has_frozen = in_page(frozen_, frozen);
    if (!has_fresh && !has_frozen) return;
    int order = !has_frozen ? -1 : !has_fresh ? 1 : fresh->first.compare(frozen->first);
    const auto& newest = order <= 0 ? *fresh : *frozen;
    more = visit(std::string_view(newest.first).substr(collection.size()), newest.second);
    if (order <= 0) ++fresh;
    if (order >= 0) ++frozen;
  }
}

std::map<std::string, Record> RecordBuffer::list(const RecordFilter& filter) const {
  std::map<std::string, Record> found;
  size_t bytes = 0, live = 0;
  MutexLock lock(mutex_);
  visit(filter, [&](std::string_view key, const Entry& entry) {
    found.emplace(key, Record{entry.value, entry.version});
    bytes += entry.value.size();  // as the page will count
    if (entry.version != 0) ++live;
    return live < filter.limit && bytes < kMaxPageBytes;
  });
  return found;
}

Result<uint64_t> RecordBuffer::version(const std::string& id) {
  if (auto found = pending_.find(id); found != pending_.end()) return found->second.version;
  if (entries_ > 0) {
    MutexLock lock(mutex_);
    if (const Entry* entry = in_maps(id)) return entry->version;
  }
  if (!known_.may_have(id)) return uint64_t{0};
  Name name = parse(id);
  version_.bind(1, name.plugin).bind(2, name.collection).bind(3, name.key);
  ResetAtEnd reset(version_);
  int code = version_.step();
  if (code == SQLITE_DONE) return uint64_t{0};
  if (code != SQLITE_ROW) return database_->fault("read a record's version");
  return static_cast<uint64_t>(version_.integer(0));
}

Status RecordBuffer::write(std::string id, const std::string& value, uint64_t version, int64_t now_ms, bool direct) {
  Entry entry{value, version, now_ms};
  known_.add(id);
  // Merged or not, what the log has above the mark is read back after a crash, and must not hide something newer in the table.
  if (direct && entries_ == 0 && pending_.empty() && committed_seq_ <= merged_seq_) return put(id, entry);
  Name name = parse(id);
  append_.bind(1, ++log_seq_).bind(2, name.plugin).bind(3, name.collection).bind(4, name.key).bind(5, entry.value);
  int code = append_.bind(6, static_cast<int64_t>(version)).bind(7, now_ms).run();
  if (code != SQLITE_DONE) return database_->fault("append a record");
  ++pending_writes_;
  pending_.insert_or_assign(std::move(id), std::move(entry));
  return Status::ok();
}

Status RecordBuffer::put(const std::string& id, const Entry& entry) {
  Name name = parse(id);
  if (entry.version == 0) {
    int code = remove_.bind(1, name.plugin).bind(2, name.collection).bind(3, name.key).run();
    return code == SQLITE_DONE ? Status::ok() : database_->fault("remove a record");
  }
  put_.bind(1, name.plugin).bind(2, name.collection).bind(3, name.key).bind(4, entry.value);
  int code = put_.bind(5, static_cast<int64_t>(entry.version)).bind(6, entry.updated_at).run();
  return code == SQLITE_DONE ? Status::ok() : database_->fault("write a record");
}

Status RecordBuffer::merge(size_t budget) {
  if (Status s = purge(budget); !s) return s;
  if (entries_ == 0 || pass_finished_) return Status::ok();
  // `frozen_` is only read here: nobody else changes it, so the merging needs no lock and keeps no reader waiting.
  const Map* frozen;
  {
    MutexLock lock(mutex_);
    if (frozen_.empty()) {
      frozen_.swap(fresh_);
      frozen_next_ = frozen_.begin();
      frozen_seq_ = committed_seq_;
    }
    frozen = &frozen_;
  }
  for (; budget > 0 && frozen_next_ != frozen->end(); --budget, ++frozen_next_) {
    if (Status s = put(frozen_next_->first, frozen_next_->second); !s) return s;
  }
  return frozen_next_ == frozen->end() ? finish_pass() : Status::ok();
}

Status RecordBuffer::finish_pass() {
  int code = set_merged_.bind(1, frozen_seq_).run();
  if (code != SQLITE_DONE) return database_->fault("merge records");
  pass_finished_ = true;
  return Status::ok();
}

// Rows up to the mark only: committed, so that a crash finds either them or the mark.
Status RecordBuffer::purge(size_t budget) {
  if (purge_next_ > merged_seq_) return Status::ok();
  int64_t end = std::min(purge_next_ + static_cast<int64_t>(budget), merged_seq_ + 1);
  int code = purge_.bind(1, purge_next_).bind(2, end).run();
  if (code != SQLITE_DONE) return database_->fault("clear the log of records");
  purge_next_ = end;
  return Status::ok();
}

void RecordBuffer::commit() {
  pending_writes_ = 0;
  purge_before_ = purge_next_;
  committed_seq_ = log_seq_;
  if (pass_finished_) merged_seq_ = frozen_seq_;
  pass_finished_ = false;
  MutexLock lock(mutex_);
  // What is in the table now is found there.
  for (auto it = frozen_.begin(); it != frozen_.end() && it != frozen_next_; it = frozen_.erase(it)) {
    bytes_ -= bytes_of(it->first, it->second);
    filter_.remove(it->first);
  }
  while (!pending_.empty()) {
    auto moved = fresh_.insert(pending_.extract(pending_.begin()));
    if (moved.inserted) {
      filter_.add(moved.position->first);
    } else {
      bytes_ -= bytes_of(moved.position->first, moved.position->second);
      moved.position->second = std::move(moved.node.mapped());
    }
    bytes_ += bytes_of(moved.position->first, moved.position->second);
  }
  entries_ = fresh_.size() + frozen_.size();
}

void RecordBuffer::rollback() {
  pending_.clear();
  pending_writes_ = 0;
  log_seq_ = committed_seq_;
  purge_next_ = purge_before_;
  pass_finished_ = false;
  MutexLock lock(mutex_);
  frozen_next_ = frozen_.begin();  // what was merged by committed transactions is gone from it
}

}  // namespace postern::store::sqlite
