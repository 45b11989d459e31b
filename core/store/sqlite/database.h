// Database and Statement: SQLite's C interface with owners and Status. Thread-safety: one thread at a time per Database.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/broken.h"
#include "core/base/status.h"

namespace postern::store::sqlite {

// Faults after which the state of the disk is not known: a failed fsync or write, a damaged file. SQLite's page cache must not
// be trusted after them.
bool is_fatal(int sqlite_code);

// Once per process, before anything else of SQLite: without its statistics of memory, which lock a mutex at each allocation.
void prepare_sqlite();

// While another program holds the database. Who comes while a batch waits for it waits for that one and then for its own, and has to hear
// within 3 s that it should come again.
constexpr int kBusyTimeoutMs = broken::kWaitForLocks ? 60'000 : 1'000;

class Statement {
 public:
  Statement() = default;
  Statement(sqlite3_stmt* statement) : statement_(statement) {}  // NOLINT: implicit by intent
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(Statement&& o) noexcept : statement_(std::exchange(o.statement_, nullptr)) {}
  Statement& operator=(Statement&& o) noexcept {
    std::swap(statement_, o.statement_);
    return *this;
  }

  // Parameters from 1. Texts and blobs are borrowed until the next reset().
  Statement& bind(int i, int64_t value);
  Statement& bind(int i, std::string_view text);
  Statement& bind_blob(int i, std::string_view bytes);
  Statement& bind_null(int i);

  // SQLITE_ROW, SQLITE_DONE or an error code.
  int step() { return sqlite3_step(statement_); }
  // Steps a statement that gives no rows, and resets it: SQLITE_DONE or an error code.
  int run();
  void reset();
  bool is_prepared() const { return statement_ != nullptr; }
  sqlite3* connection() const { return sqlite3_db_handle(statement_); }

  // Columns from 0.
  int64_t integer(int i) { return sqlite3_column_int64(statement_, i); }
  std::string_view text(int i);
  std::string_view blob(int i);
  bool is_null(int i) { return sqlite3_column_type(statement_, i) == SQLITE_NULL; }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

// Resets a statement at the end of a block, so that a reader never holds its snapshot longer than needed.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  // `vfs`: the name of a file layer; null: the default one.
  static Result<Database> open(const std::string& path, bool read_only, const char* vfs = nullptr);
  Database() = default;
  Database(Database&& o) noexcept : db_(std::exchange(o.db_, nullptr)) {}
  Database& operator=(Database&& o) noexcept {
    std::swap(db_, o.db_);
    return *this;
  }
  ~Database() { sqlite3_close(db_); }

  Status execute(const char* sql);
  // A statement that is kept and used again.
  Result<Statement> prepare(std::string_view sql);
  // The first column of the first row.
  Result<int64_t> integer(std::string_view sql);

  // The last fault: "disk I/O error (IOERR_FSYNC, 1034)".
  Status fault(std::string_view doing) const;
  int extended_code() const { return sqlite3_extended_errcode(db_); }
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  // Whether closing the last connection moves the log into the database file.
  void checkpoint_on_close(bool on) { sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr); }
  sqlite3* handle() { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

}  // namespace postern::store::sqlite
