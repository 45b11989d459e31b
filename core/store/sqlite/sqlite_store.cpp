#include "core/store/sqlite/sqlite_store.h"

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

namespace postern::store::sqlite {

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path, Committer::Limits limits) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(path, limits));
  if (Status s = store->committer_.open(path); !s) return s;
  return store;
}

Status SqliteStore::start(DeliveryObserver& deliveries, SettleObserver& settlements, OnFatal on_fatal) {
  committer_.start(deliveries, settlements, std::move(on_fatal));
  return Status::ok();
}

// The file and its write-ahead log; the rest is small.
uint64_t SqliteStore::size_bytes() const {
  uint64_t bytes = 0;
  for (const char* suffix : {"", "-wal"}) {
    std::error_code missing;
    uint64_t size = std::filesystem::file_size(path_ + suffix, missing);
    if (!missing) bytes += size;
  }
  return bytes;
}

Result<OpenPage> SqliteStore::open_deliveries(const OpenQuery& query) {
  return with_reader([&](Reader& r) { return r.open_deliveries(query); });
}
Result<OpenSummary> SqliteStore::sum_up_open_deliveries() {
  return with_reader([](Reader& r) { return r.sum_up_open_deliveries(); });
}
Result<std::shared_ptr<const StoredEvent>> SqliteStore::event(int64_t seq) {
  return with_reader([&](Reader& r) { return r.event(seq); });
}
Result<std::optional<Record>> SqliteStore::record(const std::string& plugin, const std::string& collection, const std::string& key) {
  // In this order: what leaves the memory between the two looks is in the table by then.
  auto found = committer_.record(plugin, collection, key);
  if (found.record && found.record->version != 0) return found.record;
  if (!found.may_be_in_table) return std::optional<Record>();
  return with_reader([&](Reader& r) { return r.record(plugin, collection, key); });
}
Result<std::vector<NamedRecord>> SqliteStore::records(const RecordFilter& filter) {
  std::map<std::string, Record> newest = committer_.records(filter);  // first, as above
  return with_reader([&](Reader& r) { return r.records(filter, newest); });
}
Result<std::vector<EventRow>> SqliteStore::events(const EventFilter& filter) {
  return with_reader([&](Reader& r) { return r.events(filter); });
}
Result<std::vector<DeliveryRow>> SqliteStore::deliveries(const DeliveryFilter& filter) {
  return with_reader([&](Reader& r) { return r.deliveries(filter); });
}
Result<std::vector<AttemptRow>> SqliteStore::attempts(int64_t delivery) {
  return with_reader([&](Reader& r) { return r.attempts(delivery); });
}
Result<std::vector<ProviderReport>> SqliteStore::by_provider(int64_t from, int64_t to) {
  return with_reader([&](Reader& r) { return r.report_by_provider(from, to); });
}

}  // namespace postern::store::sqlite
