#include "core/store/sqlite/known_records.h"

#include <chrono>
#include <functional>
#include <utility>

#include "core/base/log.h"
#include "core/store/sqlite/database.h"
#include "core/store/sqlite/record_buffer.h"

namespace postern::store::sqlite {
namespace {

constexpr std::chrono::milliseconds kPause(1);  // between them, since values are beside the names: a large table is much to read
constexpr int kAtOnce = 1000;  // names read in one transaction, so that no checkpoint waits for the whole walk

// The second half is made from the first one (the last step of Sebastiano Vigna's splitmix64): two names share both by accident only.
BloomFilter::Hash hash_of(std::string_view id) {
  uint64_t place = std::hash<std::string_view>()(id), choice = place + 0x9e3779b97f4a7c15;
  choice = (choice ^ (choice >> 30)) * 0xbf58476d1ce4e5b9;
  choice = (choice ^ (choice >> 27)) * 0x94d049bb133111eb;
  return {place, choice ^ (choice >> 31)};
}

struct Name {
  std::string plugin, collection, key;
};

Name name_at(Statement& row) { return {std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2))}; }

}  // namespace

bool KnownRecords::may_have(std::string_view id) const {
  const BloomFilter::Hash hash = hash_of(id);
  MutexLock lock(mutex_);
  return !complete_ || filter_.may_have(hash);
}

void KnownRecords::add(std::string_view id) {
  const BloomFilter::Hash hash = hash_of(id);
  MutexLock lock(mutex_);
  if (given_up_ || filter_.may_have(hash)) return;
  filter_.add(hash);
  if (filter_.bytes() <= most_bytes_) return;
  // Names of records that are long gone, mostly: the next start begins without them.
  given_up_ = true;
  complete_ = false;
  filter_.clear();
}

size_t KnownRecords::bytes() const {
  MutexLock lock(mutex_);
  return filter_.bytes();
}

Status KnownRecords::read(const std::string& path, int most) {
  auto database = Database::open(path, true);
  if (!database) return database.status();
  auto rows = database->prepare(
      "SELECT plugin, collection, key FROM record WHERE (plugin, collection, key) > (?1, ?2, ?3) "
      "ORDER BY plugin, collection, key LIMIT ?4");
  if (!rows) return rows.status();
  Name last;  // before all others: a plugin's name is not empty
  for (int read = kAtOnce; read == kAtOnce;) {
    if (stopping_) return {Code::kUnavailable, "the store is stopping"};
    if (most-- == 0) return {Code::kLimit, "there are more names"};
    const Name after = last;  // what is bound is looked at until the page is read
    rows->bind(1, after.plugin).bind(2, after.collection).bind(3, after.key).bind(4, kAtOnce);
    int code;
    for (read = 0; (code = rows->step()) == SQLITE_ROW; ++read) {
      Name name = name_at(*rows);
      add(RecordBuffer::id_of(name.plugin, name.collection, name.key));
      last = std::move(name);
    }
    rows->reset();
    if (code != SQLITE_DONE) return database->fault("read the names of records");
    if (read == kAtOnce && most > 0) std::this_thread::sleep_for(kPause);
  }
  MutexLock lock(mutex_);
  complete_ = !given_up_;
  return Status::ok();
}

// Most stores have few: they need no thread, which costs memory for as long as the gateway runs.
void KnownRecords::start(const std::string& path) {
  auto tell = [this](const Status& s) {
    if (!s && !stopping_)
      log::warn("the names of records could not be read; they are looked up in the store each time", {{"error", s.message()}});
  };
  Status s = read(path, 1);
  if (s.code() != Code::kLimit) return tell(s);
  thread_ = std::thread([this, path, tell] { tell(read(path)); });
}

void KnownRecords::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace postern::store::sqlite
