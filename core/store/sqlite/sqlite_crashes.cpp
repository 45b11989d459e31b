// SqliteStore's side of Crashes.
#include "core/base/clock.h"
#include "core/store/sqlite/sqlite_store.h"
#include "core/store/sqlite/waited_task.h"

namespace postern::store::sqlite {
namespace {

Status run(Database& database, Statement& statement, const char* doing) {
  return statement.run() == SQLITE_DONE ? Status::ok() : database.fault(doing);
}

// False: it is there already.
Result<bool> insert(Database& database, const Crash& crash) {
  auto statement = database.prepare(
      "INSERT OR IGNORE INTO crash (life, plugin, build, entry_point, delivery, at, signal, place, backtrace) "
      "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)");
  if (!statement) return statement.status();
  statement->bind(1, crash.life).bind(2, crash.plugin).bind(3, crash.build).bind(4, crash.entry_point).bind(6, crash.at);
  crash.delivery == 0 ? statement->bind_null(5) : statement->bind(5, crash.delivery);
  statement->bind(7, crash.signal).bind(8, crash.place).bind(9, crash.backtrace);
  if (Status s = run(database, *statement, "store a crash"); !s) return s;
  return sqlite3_changes(database.handle()) > 0;
}

Status forget_old(Database& database) {
  auto statement = database.prepare("DELETE FROM crash WHERE seq <= (SELECT max(seq) FROM crash) - ?1");
  if (!statement) return statement.status();
  statement->bind(1, static_cast<int64_t>(kMaxCrashes));
  return run(database, *statement, "forget old crashes");
}

}  // namespace

Result<bool> SqliteStore::add_crash(const Crash& crash, std::unique_ptr<Settlement> settlement) {
  bool is_new = false;
  Status status = run_in_batch(committer_, [&](Writer& writer, Writer::Batch& batch, const Task::HasTime&) {
    auto inserted = insert(writer.database(), crash);
    if (!inserted) return inserted.status();
    is_new = *inserted;
    if (!is_new) return Status::ok();
    if (settlement) {
      if (Status s = writer.write(*settlement, batch); !s) return s;  // what refuses it is in settlement->status
    }
    return forget_old(writer.database());
  });
  return status ? Result<bool>(is_new) : Result<bool>(status);
}

Status SqliteStore::pardon(const std::string& plugin) {
  return run_in_batch(committer_, [&](Writer& writer, Writer::Batch&, const Task::HasTime&) -> Status {
    auto statement = writer.database().prepare("UPDATE crash SET pardoned_at = ?2 WHERE plugin = ?1 AND pardoned_at IS NULL");
    if (!statement) return statement.status();
    statement->bind(1, plugin).bind(2, wall_ms());
    return run(writer.database(), *statement, "pardon a plugin");
  });
}

Result<std::vector<Crash>> SqliteStore::crashes(const std::string& plugin, size_t limit) {
  return with_reader([&](Reader& r) { return r.crashes(plugin, limit); });
}

Result<uint32_t> SqliteStore::crash_attempts(int64_t delivery) {
  return with_reader([&](Reader& r) { return r.crash_attempts(delivery); });
}

}  // namespace postern::store::sqlite
