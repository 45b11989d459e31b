// FaultyVfs: SQLite's own file layer, with faults on demand and a look at what is synced. It is the default one while
// it lives, so that the store under test uses it unknowingly. Thread-safety: faults and counters from any thread; make
// and destroy it while no database is open.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <functional>
#include <new>

namespace postern::store::testing {

class FaultyVfs {
 public:
  // SQLite result codes that the next calls give; SQLITE_OK: the real answer.
  inline static std::atomic<int> log_sync{SQLITE_OK};  // fsync of the write-ahead log: a commit
  inline static std::atomic<int> log_write{SQLITE_OK};
  inline static std::atomic<int> database_sync{SQLITE_OK};  // fsync of the database file: a checkpoint
  inline static std::atomic<int> database_write{SQLITE_OK};
  inline static std::atomic<int64_t> database_writes_that_fit{INT64_MAX};  // the one after them finds the disk full, once

  inline static std::atomic<uint64_t> log_syncs{0};
  inline static std::atomic<uint64_t> database_syncs{0};
  inline static std::atomic<uint64_t> log_writes{0};
  inline static std::atomic<uint64_t> database_writes{0};
  inline static std::atomic<bool> log_is_dirty{false};       // written and not synced yet
  inline static std::function<void()> before_database_sync, before_log_sync, after_log_sync;  // set them while nothing syncs

  FaultyVfs() {
    real_ = sqlite3_vfs_find(nullptr);
    vfs_ = *real_;
    vfs_.zName = "faulty";
    vfs_.pNext = nullptr;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = open;
    for (auto* fault : {&log_sync, &log_write, &database_sync, &database_write}) *fault = SQLITE_OK;
    log_syncs = database_syncs = 0;
    database_writes_that_fit = INT64_MAX;
    log_is_dirty = false;
    before_database_sync = before_log_sync = after_log_sync = nullptr;
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~FaultyVfs() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, 1);
  }
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

 private:
  struct File {
    sqlite3_file base;
    bool is_log;
    bool is_database;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };
  static File* mine(sqlite3_file* file) { return reinterpret_cast<File*>(file); }

  static int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    auto* made = new (file) File{};
    made->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    made->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    int code = real_->xOpen(real_, name, made->real(), flags, out_flags);
    made->base.pMethods = made->real()->pMethods == nullptr ? nullptr : &kMethods;
    return code;
  }
  static int sync(sqlite3_file* f, int flags) {
    File* file = mine(f);
    int fault = file->is_log ? log_sync.load() : file->is_database ? database_sync.load() : SQLITE_OK;
    if (fault != SQLITE_OK) return fault;
    if (file->is_log) ++log_syncs;
    if (file->is_database) ++database_syncs;
    if (file->is_database && before_database_sync) before_database_sync();
    if (file->is_log && before_log_sync) before_log_sync();
    int code = file->real()->pMethods->xSync(file->real(), flags);
    if (file->is_log) log_is_dirty = false;
    if (file->is_log && after_log_sync) after_log_sync();
    return code;
  }
  static int write(sqlite3_file* f, const void* data, int size, sqlite3_int64 at) {
    File* file = mine(f);
    int fault = file->is_log ? log_write.load() : file->is_database ? database_write.load() : SQLITE_OK;
    if (fault != SQLITE_OK) return fault;
    if (file->is_database && database_writes_that_fit-- == 0) return SQLITE_FULL;
    if (file->is_log) log_is_dirty = true;
    if (file->is_log) ++log_writes;
    if (file->is_database) ++database_writes;
    return file->real()->pMethods->xWrite(file->real(), data, size, at);
  }

  template <auto method, typename... Args>
  static int forward(sqlite3_file* f, Args... args) {
    sqlite3_file* real = mine(f)->real();
    return (real->pMethods->*method)(real, args...);
  }

  using M = sqlite3_io_methods;
  inline static const sqlite3_io_methods kMethods = {
      3,
      [](sqlite3_file* f) { return forward<&M::xClose>(f); },
      [](sqlite3_file* f, void* data, int size, sqlite3_int64 at) { return forward<&M::xRead>(f, data, size, at); },
      write,
      [](sqlite3_file* f, sqlite3_int64 size) { return forward<&M::xTruncate>(f, size); },
      sync,
      [](sqlite3_file* f, sqlite3_int64* size) { return forward<&M::xFileSize>(f, size); },
      [](sqlite3_file* f, int level) { return forward<&M::xLock>(f, level); },
      [](sqlite3_file* f, int level) { return forward<&M::xUnlock>(f, level); },
      [](sqlite3_file* f, int* out) { return forward<&M::xCheckReservedLock>(f, out); },
      [](sqlite3_file* f, int op, void* arg) { return forward<&M::xFileControl>(f, op, arg); },
      [](sqlite3_file* f) { return forward<&M::xSectorSize>(f); },
      [](sqlite3_file* f) { return forward<&M::xDeviceCharacteristics>(f); },
      [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
        return forward<&M::xShmMap>(f, page, size, extend, out);
      },
      [](sqlite3_file* f, int offset, int n, int flags) { return forward<&M::xShmLock>(f, offset, n, flags); },
      [](sqlite3_file* f) { mine(f)->real()->pMethods->xShmBarrier(mine(f)->real()); },
      [](sqlite3_file* f, int remove) { return forward<&M::xShmUnmap>(f, remove); },
      [](sqlite3_file* f, sqlite3_int64 at, int size, void** out) { return forward<&M::xFetch>(f, at, size, out); },
      [](sqlite3_file* f, sqlite3_int64 at, void* page) { return forward<&M::xUnfetch>(f, at, page); },
  };

  inline static sqlite3_vfs* real_ = nullptr;
  sqlite3_vfs vfs_{};
};

}  // namespace postern::store::testing
