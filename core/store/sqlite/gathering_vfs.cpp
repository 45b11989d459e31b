#include "core/store/sqlite/gathering_vfs.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "core/base/broken.h"
#include "core/store/sqlite/database.h"

namespace postern::store::sqlite {

// The sync that ends a commit, and when it is done.
struct LogSync {
  bool put_off = false;
  sqlite3_file* wanted_by = nullptr;  // the log, as the layer below has it
  std::function<void()> before;
};

namespace {

constexpr size_t kCapacity = 124 * 1024;  // SQLite writes less than 128 KiB at once: it cuts the size to 17 bits

// Neighbouring writes of a file.
class Gathered {
 public:
  explicit Gathered(sqlite3_file* real) : real_(real), data_(new (std::nothrow) char[kCapacity]) {}

  int add(const void* data, int size, sqlite3_int64 at) {
    auto bytes = static_cast<size_t>(size);
    if (at != at_ + static_cast<sqlite3_int64>(used_) || bytes > kCapacity - used_) {
      if (int code = flush(); code != SQLITE_OK) return code;
      at_ = at;
    }
    if (!data_ || bytes > kCapacity) return real_->pMethods->xWrite(real_, data, size, at);
    std::memcpy(data_.get() + used_, data, bytes);
    used_ += bytes;
    return SQLITE_OK;
  }

  int flush() {
    if (int code = std::exchange(left_, SQLITE_OK); code != SQLITE_OK) {
      used_ = 0;
      return code;
    }
    if (used_ == 0) return SQLITE_OK;
    auto size = static_cast<int>(std::exchange(used_, 0));
    return real_->pMethods->xWrite(real_, data_.get(), size, at_);
  }

  // Where no error can be told: the next flush() tells it.
  void flush_silently() { left_ = flush(); }

 private:
  sqlite3_file* const real_;
  const std::unique_ptr<char[]> data_;
  sqlite3_int64 at_ = 0;
  size_t used_ = 0;
  int left_ = SQLITE_OK;
};

struct File {
  sqlite3_file base{};
  Gathered* gathered = nullptr;  // of the log
  File* database = nullptr;      // of the log: whose locks guard it
  File* log = nullptr;           // of the database, while it is open
  const bool* skips_syncs = nullptr;
  LogSync* sync = nullptr;       // of the log
  bool header_is_new = false;    // of the log: written since the last sync
  bool is_synced = false;  // this connection has written nothing since; what an earlier process wrote may not be

  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods& methods() { return *real()->pMethods; }
  int flush() { return gathered == nullptr ? SQLITE_OK : gathered->flush(); }
  void flush_silently() {
    if (gathered != nullptr) gathered->flush_silently();
  }
  // Before a lock or barrier of the database, which guard the log too.
  int flush_log() { return log == nullptr ? SQLITE_OK : log->flush(); }
  void flush_log_silently() {
    if (log != nullptr) log->flush_silently();
  }
};
static_assert(sizeof(File) % 8 == 0, "the layer below puts its own structure behind it");

File* mine(sqlite3_file* file) { return reinterpret_cast<File*>(file); }

using M = sqlite3_io_methods;

template <auto method, typename... Args>
int forward(sqlite3_file* f, Args... args) {
  File* file = mine(f);
  return (file->methods().*method)(file->real(), args...);
}

template <auto method, typename... Args>
int flush_and_forward(sqlite3_file* f, Args... args) {
  if (int code = mine(f)->flush(); code != SQLITE_OK) return code;
  return forward<method>(f, args...);
}

int close(sqlite3_file* f) {
  File* file = mine(f);
  int flushed = file->flush();
  int closed = file->methods().xClose(file->real());
  if (file->database != nullptr && file->database->log == file) file->database->log = nullptr;
  if (file->sync != nullptr) file->sync->wanted_by = nullptr;
  delete file->gathered;
  file->~File();
  return flushed != SQLITE_OK ? flushed : closed;
}

int write(sqlite3_file* f, const void* data, int size, sqlite3_int64 at) {
  File* file = mine(f);
  file->is_synced = false;
  if (at == 0) file->header_is_new = true;
  return file->gathered != nullptr ? file->gathered->add(data, size, at) : forward<&M::xWrite>(f, data, size, at);
}

int truncate(sqlite3_file* f, sqlite3_int64 size) {
  mine(f)->is_synced = false;
  return flush_and_forward<&M::xTruncate>(f, size);
}

int sync_now(sqlite3_file* real, int flags) {
  int code = real->pMethods->xSync(real, flags);
  return broken::kFsyncIgnored ? SQLITE_OK : code;
}

int sync_log(File* file, int flags) {
  if (int code = file->flush(); code != SQLITE_OK) return broken::kFsyncIgnored ? SQLITE_OK : code;
  if (file->sync->put_off && !file->header_is_new) {
    file->sync->wanted_by = file->real();
    file->is_synced = true;
    return SQLITE_OK;
  }
  if (file->sync->before) file->sync->before();
  int code = sync_now(file->real(), flags);
  file->is_synced = code == SQLITE_OK;
  file->header_is_new = file->header_is_new && code != SQLITE_OK;
  return code;
}

int sync(sqlite3_file* f, int flags) {
  File* file = mine(f);
  if (file->is_synced && *file->skips_syncs) return SQLITE_OK;
  if (file->sync != nullptr) return sync_log(file, flags);
  int code = sync_now(file->real(), flags);
  file->is_synced = code == SQLITE_OK;
  return code;
}

// A lock must be given back even when the flush before it fails; then the next call tells the error.
int unlock(sqlite3_file* f, int level) {
  mine(f)->flush_log_silently();
  return forward<&M::xUnlock>(f, level);
}

int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    mine(f)->flush_log_silently();
  } else if (int code = mine(f)->flush_log(); code != SQLITE_OK) {
    return code;
  }
  return forward<&M::xShmLock>(f, offset, n, flags);
}

// SQLite does not look at what most of these give back.
int file_control(sqlite3_file* f, int operation, void* argument) {
  mine(f)->flush_silently();
  return forward<&M::xFileControl>(f, operation, argument);
}

void shm_barrier(sqlite3_file* f) {
  mine(f)->flush_log_silently();
  mine(f)->methods().xShmBarrier(mine(f)->real());
}

constexpr sqlite3_io_methods kMethods = {
    3,
    close,
    flush_and_forward<&M::xRead, void*, int, sqlite3_int64>,
    write,
    truncate,
    sync,
    flush_and_forward<&M::xFileSize, sqlite3_int64*>,
    flush_and_forward<&M::xLock, int>,
    unlock,
    flush_and_forward<&M::xCheckReservedLock, int*>,
    file_control,
    forward<&M::xSectorSize>,
    forward<&M::xDeviceCharacteristics>,
    forward<&M::xShmMap, int, int, int, void volatile**>,
    shm_lock,
    shm_barrier,
    forward<&M::xShmUnmap, int>,
    flush_and_forward<&M::xFetch, sqlite3_int64, int, void**>,
    forward<&M::xUnfetch, sqlite3_int64, void*>,
};

}  // namespace

GatheringVfs::GatheringVfs() : log_(std::make_unique<LogSync>()) {
  prepare_sqlite();
  sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
  static_cast<sqlite3_vfs&>(vfs_) = *real;
  vfs_.real = real;
  vfs_.log = log_.get();
  name_ = "postern-" + std::to_string(reinterpret_cast<uintptr_t>(this));
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
  vfs_.xOpen = open;
  sqlite3_vfs_register(&vfs_, 0);
}

GatheringVfs::~GatheringVfs() { sqlite3_vfs_unregister(&vfs_); }

void GatheringVfs::put_off_log_sync(bool on) { log_->put_off = on; }

GatheringVfs::Sync GatheringVfs::take_log_sync() {
  sqlite3_file* log = std::exchange(log_->wanted_by, nullptr);
  if (log == nullptr) return nullptr;
  return [log] { return sync_now(log, SQLITE_SYNC_NORMAL); };
}

void GatheringVfs::before_sync(std::function<void()> wait) { log_->before = std::move(wait); }

int GatheringVfs::open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  sqlite3_vfs* real = static_cast<Vfs*>(vfs)->real;
  auto* made = new (file) File{};
  made->skips_syncs = &static_cast<Vfs*>(vfs)->skips_syncs;
  int code = real->xOpen(real, name, made->real(), flags, out_flags);
  // The methods of version 3 are called by nobody if the layer below has them not; Debian's has.
  if (made->real()->pMethods == nullptr || made->real()->pMethods->iVersion < 3) {
    if (made->real()->pMethods != nullptr) made->methods().xClose(made->real());
    made->~File();
    static_cast<sqlite3_file*>(file)->pMethods = nullptr;
    return code != SQLITE_OK ? code : SQLITE_CANTOPEN;
  }
  made->base.pMethods = &kMethods;
  if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) made->gathered = new Gathered(made->real());
  if ((flags & SQLITE_OPEN_WAL) != 0) {
    made->database = mine(sqlite3_database_file_object(name));
    made->database->log = made;
    made->sync = static_cast<Vfs*>(vfs)->log;
  }
  return code;
}

}  // namespace postern::store::sqlite
