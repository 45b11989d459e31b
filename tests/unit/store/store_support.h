// What the tests of core/store and core/dispatch share: a folder of their own, observers that can be waited for, and
// events and settlements with little to say. Thread-safety: as each class says.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/store/sqlite/sqlite_store.h"

namespace postern::store::testing {

constexpr std::chrono::seconds kPatience{30};
constexpr int64_t kDayMs = 24 * 3600 * 1000;

// A folder that is removed with the test. Thread-safety: one thread.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-store-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Something that other threads add to, and a test waits for. Thread-safety: any thread.
template <typename T>
class Gathered {
 public:
  void add(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  bool wait_for(size_t count, std::chrono::milliseconds limit = kPatience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return values_.size() >= count; });
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return values_.size();
  }
  // Only when nobody adds any more.
  std::vector<T>& values() { return values_; }
  std::vector<T> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(values_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

// Keeps what it is told. `look`, set before the store starts, sees each batch first, on the committer's thread.
class Committed final : public ingest::CommitObserver {
 public:
  void on_committed(std::vector<std::unique_ptr<ingest::PendingEvent>> batch) override {
    if (look) look(batch);
    batches.add(batch.size());
    for (auto& event : batch) events.add(std::move(event));
  }
  std::function<void(const std::vector<std::unique_ptr<ingest::PendingEvent>>&)> look;
  Gathered<size_t> batches;
  Gathered<std::unique_ptr<ingest::PendingEvent>> events;
};

class Settled final : public SettleObserver, public DeliveryObserver {
 public:
  void on_settled(std::vector<std::unique_ptr<Settlement>> batch) override {
    if (look) look(batch);
    for (auto& settlement : batch) settlements.add(std::move(settlement));
  }
  void on_deliveries(std::vector<OpenDelivery> batch) override {
    for (auto& delivery : batch) deliveries.add(std::move(delivery));
  }
  std::function<void(const std::vector<std::unique_ptr<Settlement>>&)> look;
  Gathered<std::unique_ptr<Settlement>> settlements;
  Gathered<OpenDelivery> deliveries;
};

inline ingest::Targets targets(std::vector<ingest::Target> list) {
  return std::make_shared<const std::vector<ingest::Target>>(std::move(list));
}

inline ingest::DedupeKey key_of(uint64_t number) {
  ingest::DedupeKey key{};
  uint64_t spread = number * 0x9e3779b97f4a7c15u;  // keys are spread as hashes are
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<uint8_t>(spread >> (8 * i));
  for (size_t i = 0; i < 8; ++i) key[8 + i] = static_cast<uint8_t>(number >> (8 * i));
  return key;
}

inline ingest::NewEvent new_event(uint64_t number, std::vector<ingest::Target> to = {}) {
  ingest::NewEvent event;
  event.provider = "acme";
  event.type = "acme.thing.made";
  event.external_id = "EV" + std::to_string(number);
  event.received_at = wall_ms();
  event.method = "POST";
  event.target = "/hook";
  event.headers = "Host: gateway\r\n";
  event.body = "{}";
  event.remote = "127.0.0.1";
  event.dedupe_key = key_of(number);
  event.dedupe_until = event.received_at + kDayMs;
  if (!to.empty()) event.targets = targets(std::move(to));
  return event;
}

inline std::unique_ptr<ingest::PendingEvent> pending(ingest::NewEvent event, ingest::CommitObserver& observer) {
  auto made = std::make_unique<ingest::PendingEvent>();
  made->event = std::move(event);
  made->observer = &observer;
  return made;
}

// Holds the committer after the commit of one event of its own, so that all that is submitted meanwhile makes one
// batch. Thread-safety: one thread.
class HeldCommitter final : public ingest::CommitObserver {
 public:
  explicit HeldCommitter(ingest::EventSink& store) {
    store.submit(pending(new_event(1'000'000'007), *this));
    held_.get_future().wait();
  }
  void release() { release_.set_value(); }

  void on_committed(std::vector<std::unique_ptr<ingest::PendingEvent>>) override {
    std::shared_future<void> released = released_;  // this object may be gone as soon as it lets go
    held_.set_value();
    released.wait();
  }

 private:
  std::promise<void> held_, release_;
  std::shared_future<void> released_ = release_.get_future().share();
};

inline std::unique_ptr<Settlement> settlement(int64_t delivery, Settlement::Kind kind, uint32_t attempts = 1) {
  auto made = std::make_unique<Settlement>();
  made->delivery = delivery;
  made->plugin = "acme";
  made->kind = kind;
  made->attempts = attempts;
  made->started_at = 1'700'000'000'000;
  made->duration_us = 1234;
  if (kind != Settlement::Kind::kDone) {
    made->outcome = kind == Settlement::Kind::kDead ? "dead" : "retry";
    made->detail = "attempt " + std::to_string(attempts);
  }
  if (kind == Settlement::Kind::kRetry || kind == Settlement::Kind::kPostpone) made->due_at = wall_ms() + 60'000;
  return made;
}

// Another program's view of the file, or its hand in it. Errors are exceptions. Thread-safety: one thread.
class Sql {
 public:
  explicit Sql(const std::string& path, bool read_only = true) {
    int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(path.c_str(), &db_, flags, nullptr) != SQLITE_OK)
      throw std::runtime_error("cannot open " + path);
    sqlite3_busy_timeout(db_, 5000);
  }
  ~Sql() { sqlite3_close(db_); }
  Sql(const Sql&) = delete;
  Sql& operator=(const Sql&) = delete;

  void run(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(sqlite3_errmsg(db_));
  }
  // The rows, columns joined by '|'.
  std::vector<std::string> rows(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
      throw std::runtime_error(sqlite3_errmsg(db_));
    std::vector<std::string> found;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      std::string& row = found.emplace_back();
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        if (i > 0) row += '|';
        auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, i));
        if (bytes != nullptr) row.append(bytes, static_cast<size_t>(sqlite3_column_bytes(statement, i)));
      }
    }
    sqlite3_finalize(statement);
    return found;
  }
  std::string one(const std::string& sql) {
    auto found = rows(sql);
    return found.empty() ? "(no row)" : found.front();
  }

 private:
  sqlite3* db_ = nullptr;
};

// Makes a closed store what a gateway of schema version 1 to 6 would have left: see schema.cpp.
inline void downgrade(const std::string& path, int version) {
  Sql sql(path, false);
  sql.run(
      "ALTER TABLE record RENAME TO newer;"
      "CREATE TABLE record (plugin TEXT NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
      " version INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (plugin, collection, key)) WITHOUT ROWID;"
      "INSERT INTO record SELECT * FROM newer; DROP TABLE newer; PRAGMA user_version = 6");
  if (version == 6) return;
  sql.run("DROP TABLE crash; PRAGMA user_version = 5");
  if (version == 5) return;
  sql.run("DROP TABLE timer; PRAGMA user_version = 4");
  if (version == 4) return;
  sql.run(
      "DROP INDEX delivery_replayed; DROP TABLE job; DROP TABLE job_item;"
      "ALTER TABLE delivery DROP COLUMN replayed_at; ALTER TABLE delivery DROP COLUMN earlier_attempts;"
      "ALTER TABLE delivery DROP COLUMN dropped_at; PRAGMA user_version = 3");
  if (version == 3) return;
  sql.run(
      "ALTER TABLE event DROP COLUMN first_delivery; ALTER TABLE event DROP COLUMN deliveries;"
      "DELETE FROM meta WHERE name = 'delivery_open_seq';"
      "ALTER TABLE dedupe RENAME TO newer;"
      "CREATE TABLE dedupe (key BLOB PRIMARY KEY, event TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID;"
      "INSERT INTO dedupe SELECT key, event, expires_at FROM newer; DROP TABLE newer;"
      "CREATE INDEX delivery_open ON delivery (seq) WHERE state IN ('queued', 'running');"
      "CREATE INDEX delivery_event ON delivery (event)");
  if (version == 1) sql.run("DROP TABLE record_log; DELETE FROM meta WHERE name = 'record_merged_seq'");
  sql.run("PRAGMA user_version = " + std::to_string(version));
}

// A store in a folder of its own, with observers that keep everything.
class StoreTest : public ::testing::Test {
 protected:
  ~StoreTest() override { close(); }

  void open() {
    auto opened = sqlite::SqliteStore::open(path(), limits_);
    ASSERT_TRUE(opened.is_ok()) << opened.status().message();
    store_ = std::move(*opened);
    ASSERT_TRUE(store_->start(settled_, settled_, [this](const Status& s) { fatal_.add(s); }));
  }
  void close() {
    if (store_) store_->stop();
    store_.reset();
  }
  void restart() {
    close();
    open();
  }
  std::string path() const { return folder_.file("events.db"); }

  // Submits one event and waits for what became of it.
  std::unique_ptr<ingest::PendingEvent> put(ingest::NewEvent event) {
    Committed committed;
    store_->submit(pending(std::move(event), committed));
    if (!committed.events.wait_for(1)) throw std::runtime_error("no answer to an event");
    return std::move(committed.events.values().front());
  }
  // The same for a settlement.
  std::unique_ptr<Settlement> settle(std::unique_ptr<Settlement> settlement) {
    store_->submit_settlement(std::move(settlement));
    if (!settled_.settlements.wait_for(1)) throw std::runtime_error("no answer to a settlement");
    return std::move(settled_.settlements.take().front());
  }
  // An event with one delivery; returns the delivery's seq.
  int64_t put_delivery(uint64_t number, const std::string& order_key = "") {
    settled_.deliveries.take();
    ingest::NewEvent event = new_event(number, {{"acme", "handlers"}});
    event.order_key = order_key;
    put(std::move(event));
    if (!settled_.deliveries.wait_for(1)) throw std::runtime_error("no delivery");
    return settled_.deliveries.take().front().seq;
  }
  std::string one(const std::string& sql) { return Sql(path()).one(sql); }
  // Everybody's.
  Result<std::vector<OpenDelivery>> open_deliveries(int64_t after, size_t limit, size_t event_bytes = 0) {
    OpenQuery query;
    query.after = after;
    query.limit = limit;
    query.event_bytes = event_bytes;
    auto page = store_->open_deliveries(query);
    if (!page) return page.status();
    return std::move(page->deliveries);
  }

  TempFolder folder_;
  sqlite::Committer::Limits limits_;
  Settled settled_;
  Gathered<Status> fatal_;
  std::unique_ptr<sqlite::SqliteStore> store_;
};

}  // namespace postern::store::testing
