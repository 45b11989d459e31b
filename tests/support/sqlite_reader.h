// StoreReader: looks into the gateway's SQLite store without going through the gateway; read-only, while it runs or
// after. The tables are `event`, `delivery`, `attempt`, `dedupe` and `record`. Errors are exceptions
// (std::runtime_error). Thread-safety: one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace postern::testing {

class StoreReader {
 public:
  // A row as texts; NULL is "".
  using Row = std::vector<std::string>;

  explicit StoreReader(const std::string& path) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
    db_.reset(raw);
    check(code == SQLITE_OK, "open " + path);
    sqlite3_busy_timeout(raw, 5000);
  }

  // `parameters` stand for the question marks.
  std::vector<Row> rows(const std::string& sql, std::initializer_list<std::string_view> parameters = {}) const {
    sqlite3_stmt* raw = nullptr;
    check(sqlite3_prepare_v2(db_.get(), sql.c_str(), -1, &raw, nullptr) == SQLITE_OK, sql);
    const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
    int index = 0;
    for (const auto text : parameters) {
      sqlite3_bind_text(raw, ++index, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    }
    std::vector<Row> all;
    int step = 0;
    while ((step = sqlite3_step(raw)) == SQLITE_ROW) {
      Row row;
      for (int i = 0; i < sqlite3_column_count(raw); ++i) {
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(raw, i));
        row.emplace_back(bytes == nullptr ? "" : bytes, static_cast<size_t>(sqlite3_column_bytes(raw, i)));
      }
      all.push_back(std::move(row));
    }
    check(step == SQLITE_DONE, sql);
    return all;
  }

  // The single value of a query: a count, a sum.
  int64_t number(const std::string& sql, std::initializer_list<std::string_view> parameters = {}) const {
    const auto found = rows(sql, parameters);
    if (found.size() != 1 || found[0].size() != 1) throw std::runtime_error("not one value: " + sql);
    return found[0][0].empty() ? 0 : std::stoll(found[0][0]);
  }

  int64_t events() const { return number("SELECT count(*) FROM event"); }
  int64_t deliveries(std::string_view state) const {
    return number("SELECT count(*) FROM delivery WHERE state = ?", {state});
  }
  int64_t unsettled() const { return number("SELECT count(*) FROM delivery WHERE state IN ('queued', 'running')"); }

  // The state of an event's only delivery; "" when it has none.
  std::string state_of(std::string_view external_id) const {
    const auto found =
        rows("SELECT d.state FROM delivery d JOIN event e ON d.event = e.seq WHERE e.external_id = ?", {external_id});
    return found.empty() ? "" : found[0][0];
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
  };

  void check(bool ok, const std::string& what) const {
    if (!ok) throw std::runtime_error(what + ": " + (db_ ? sqlite3_errmsg(db_.get()) : "no memory"));
  }

  std::unique_ptr<sqlite3, Close> db_;
};

}  // namespace postern::testing
