// WriteLock: holds the one write lock of a SQLite database, as a foreign program might, so that nobody else commits
// meanwhile. It changes nothing. The gateway waits for about two seconds before it takes that for a failure.
// Errors are exceptions (std::runtime_error). Thread-safety: one thread at a time.
#pragma once

#include <sqlite3.h>

#include <stdexcept>
#include <string>

namespace postern::testing {

class WriteLock {
 public:
  explicit WriteLock(const std::string& path) {
    const bool locked = sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK &&
                        sqlite3_busy_timeout(db_, 5000) == SQLITE_OK &&
                        sqlite3_exec(db_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK;
    if (locked) return;
    const std::string why = db_ == nullptr ? "no memory" : sqlite3_errmsg(db_);
    sqlite3_close(db_);
    throw std::runtime_error("cannot lock " + path + ": " + why);
  }
  ~WriteLock() {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(db_);
  }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  sqlite3* db_ = nullptr;
};

}  // namespace postern::testing
