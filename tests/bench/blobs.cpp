// postern_blobs: a bare loop that writes blobs into SQLite with the pragmas of Postern's store and batches of a given size: what the disk
// and SQLite allow, without a network, a check or a queue. bars.sh compares the gateway's rate of large bodies with it.
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

struct Options {
  std::string file;
  uint32_t size = 1 << 20;
  uint32_t batch = 16;
  uint64_t count = 1000;
};

using Handle = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;
using Statement = std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)>;

void execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(std::string(sql) + ": " + sqlite3_errmsg(database));
  }
}

// core/store/sqlite: schema.cpp has the first three, writer.cpp the others. Both copy the log after 1,000 pages.
Handle open(const std::string& file) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Handle database(raw, &sqlite3_close);
  if (code != SQLITE_OK) throw std::runtime_error("open " + file + ": " + sqlite3_errstr(code));
  for (const char* sql : {"PRAGMA page_size=8192", "PRAGMA auto_vacuum=INCREMENTAL", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                          "PRAGMA cache_size=-16000", "PRAGMA temp_store=MEMORY", "PRAGMA journal_size_limit=67108864",
                          "CREATE TABLE event (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)"}) {
    execute(database.get(), sql);
  }
  return database;
}

double write_all(sqlite3* database, const Options& options) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database, "INSERT INTO event (seq, body) VALUES (?1, ?2)", -1, &raw, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sqlite3_errmsg(database));
  }
  const Statement insert(raw, &sqlite3_finalize);
  std::string blob(options.size, 'x');
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t n = 0; n < options.count;) {
    execute(database, "BEGIN IMMEDIATE");
    for (const uint64_t end = std::min(options.count, n + options.batch); n < end; ++n) {
      std::memcpy(blob.data(), &n, std::min(blob.size(), sizeof n));  // each is another one
      sqlite3_bind_int64(insert.get(), 1, static_cast<int64_t>(n + 1));
      sqlite3_bind_blob64(insert.get(), 2, blob.data(), blob.size(), SQLITE_STATIC);
      if (sqlite3_step(insert.get()) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(database));
      sqlite3_reset(insert.get());
    }
    execute(database, "COMMIT");
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Writes blobs into a new SQLite database as Postern's store does, and nothing else; prints the rate.", "postern_blobs");
  app.add_option("--file", options.file, "The database; it must not be there yet")->required()->check(CLI::NonexistentPath);
  app.add_option("--size", options.size, "Bytes of a blob")->capture_default_str()->check(CLI::Range(1, 64 << 20));
  app.add_option("--batch", options.batch, "Blobs of a transaction")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--count", options.count, "Blobs in all")->capture_default_str()->check(CLI::PositiveNumber);
  try {
    app.parse(argc, argv);
    const Handle database = open(options.file);
    const double seconds = write_all(database.get(), options);
    printf("{\"blobs\":%llu,\"seconds\":%.3f,\"blobs_per_s\":%.2f}\n", static_cast<unsigned long long>(options.count), seconds,
           static_cast<double>(options.count) / seconds);
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : 2;
  } catch (const std::exception& error) {
    fprintf(stderr, "postern_blobs: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
