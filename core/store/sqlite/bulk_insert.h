// BulkInsert: many rows into one table, several with each statement: a statement costs as much as the row that it inserts, and in between
// the place at the end of the table is looked for anew.
// Thread-safety: the database's thread.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "core/store/sqlite/database.h"

namespace postern::store::sqlite {

class BulkInsert {
 public:
  // `into`: "event (seq, id)", and how many columns that are. The database outlives it.
  Status prepare(Database& database, std::string into, int columns) {
    database_ = &database;
    into_ = std::move(into);
    columns_ = columns;
    return prepare_for(kSizes.size() - 1);
  }

  // `bind(statement, first, row)` binds the row's columns to the parameters from `first` on; what is bound has to stay until run() is back.
  // SQLITE_DONE, or an error code: then some of the rows may be there.
  template <typename Bind>
  int run(size_t rows, Bind bind) {
    size_t row = 0;
    for (size_t i = 0; i < kSizes.size(); ++i) {
      for (; rows - row >= kSizes[i]; row += kSizes[i]) {
        if (!statements_[i].is_prepared() && !prepare_for(i)) return sqlite3_extended_errcode(database_->handle());
        for (size_t n = 0; n < kSizes[i]; ++n) bind(statements_[i], 1 + static_cast<int>(n) * columns_, row + n);
        if (int code = statements_[i].run(); code != SQLITE_DONE) return code;
      }
    }
    return SQLITE_DONE;
  }

 private:
  static constexpr std::array<size_t, 4> kSizes{64, 16, 4, 1};

  // When it is first needed: one for many rows takes 100 KB.
  Status prepare_for(size_t size) {
    std::string row = "(?";
    for (int i = 1; i < columns_; ++i) row += ",?";
    row += ")";
    std::string sql = "INSERT INTO " + into_ + " VALUES " + row;
    for (size_t n = 1; n < kSizes[size]; ++n) sql += "," + row;
    auto statement = database_->prepare(sql);
    if (!statement) return statement.status();
    statements_[size] = std::move(*statement);
    return Status::ok();
  }

  Database* database_ = nullptr;
  std::string into_;
  int columns_ = 0;
  std::array<Statement, kSizes.size()> statements_;
};

}  // namespace postern::store::sqlite
