#include "core/store/sqlite/database.h"

#include <utility>

namespace postern::store::sqlite {

bool is_fatal(int sqlite_code) {
  int primary = sqlite_code & 0xff;
  return primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

Statement& Statement::bind(int i, int64_t value) {
  sqlite3_bind_int64(statement_, i, value);
  return *this;
}

Statement& Statement::bind(int i, std::string_view text) {
  // A null pointer would bind NULL; an empty text is not NULL.
  sqlite3_bind_text64(statement_, i, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int i, std::string_view bytes) {
  sqlite3_bind_blob64(statement_, i, bytes.empty() ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int i) {
  sqlite3_bind_null(statement_, i);
  return *this;
}

int Statement::run() {
  int code = step();
  sqlite3_reset(statement_);
  return code;
}

void Statement::reset() {
  sqlite3_reset(statement_);
}

std::string_view Statement::text(int i) {
  auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, i));
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<size_t>(sqlite3_column_bytes(statement_, i)));
}

std::string_view Statement::blob(int i) {
  auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, i));
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<size_t>(sqlite3_column_bytes(statement_, i)));
}

void prepare_sqlite() {
  // It refuses when somebody has used SQLite already, which only costs that time.
  [[maybe_unused]] static const int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

Result<Database> Database::open(const std::string& path, bool read_only, const char* vfs) {
  prepare_sqlite();
  Database database;
  int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX |
              SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path.c_str(), &database.db_, flags, vfs) != SQLITE_OK) return database.fault("open " + path);
  sqlite3_busy_timeout(database.db_, kBusyTimeoutMs);
  return database;
}

Status Database::execute(const char* sql) {
  return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? Status::ok() : fault(sql);
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return fault(sql);
  return Statement(statement);
}

Result<int64_t> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return statement.status();
  int code = statement->step();
  if (code != SQLITE_ROW) return fault(sql);
  return statement->integer(0);
}

Status Database::fault(std::string_view doing) const {
  int code = sqlite3_extended_errcode(db_);
  Code kind = Code::kInternal;
  if (is_fatal(code)) {
    kind = (code & 0xff) == SQLITE_IOERR ? Code::kIo : Code::kCorrupt;
  } else if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) {
    kind = Code::kUnavailable;
  } else if ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY || (code & 0xff) == SQLITE_PERM) {
    kind = Code::kIo;
  }
  return {kind, std::string(doing) + ": " + sqlite3_errmsg(db_) + " (SQLite code " + std::to_string(code) + ")"};
}

}  // namespace postern::store::sqlite
