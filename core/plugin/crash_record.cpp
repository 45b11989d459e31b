#include "core/plugin/crash_record.h"

#include <fcntl.h>
#include <link.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/log.h"
#include "core/plugin/alternate_stack.h"
#include "core/plugin/crash_report.h"

namespace postern::plugin {
namespace {

Status fault(const std::string& path, const char* doing) {
  return {Code::kIo, path + ": cannot " + doing + ": " + std::strerror(errno)};
}

template <size_t N>
void copy_text(std::string_view from, std::array<char, N>& to) {
  size_t size = std::min(from.size(), N - 1);
  std::copy_n(from.data(), size, to.data());
  std::fill(to.begin() + static_cast<ptrdiff_t>(size), to.end(), '\0');
}

}  // namespace

const char* to_text(EntryPoint entry) {
  switch (entry) {
    case EntryPoint::kCreate: return "create";
    case EntryPoint::kInit: return "init";
    case EntryPoint::kActivate: return "activate";
    case EntryPoint::kDeactivate: return "deactivate";
    case EntryPoint::kDestroy: return "destroy";
    case EntryPoint::kHandler: return "handler";
    case EntryPoint::kVerify: return "verify";
    case EntryPoint::kSign: return "sign";
    case EntryPoint::kReply: return "reply";
    case EntryPoint::kTimer: return "timer";
    case EntryPoint::kHealth: return "health check";
    case EntryPoint::kService: return "service";
    case EntryPoint::kAnswer: return "answer";
    case EntryPoint::kSession: return "session";
    case EntryPoint::kPublished: return "publish";
  }
  return "call";
}

std::atomic<CrashRecord*> CrashRecord::current_{nullptr};
std::atomic<uint32_t> CrashRecord::opened_{0};

namespace {

// Apart from the seat, whose destructor would make every access a call: `of` is read at each call into a plugin, and by the signal handler.
struct Place {
  crash::Slot* slot;
  uint32_t of;
};
constinit thread_local Place place{};

}  // namespace

// What a thread has of the record: its slot, and a stack for the signal handler, since its own may be what has overflowed.
struct CrashRecord::Seat {
  crash::Slot* slot = nullptr;
  uint32_t of = 0;  // CrashRecord::opened_
  AlternateStack stack;

  ~Seat() {
    place.slot = nullptr;  // whoever is still called on this thread is not noted
    if (slot == nullptr || of != opened_.load(std::memory_order_acquire)) return;
    slot->depth.store(0, std::memory_order_relaxed);
    slot->taken.store(0, std::memory_order_release);
  }
};

const crash::Slot* Inside::slot_of_this_thread() {
  return place.of == CrashRecord::opened_.load(std::memory_order_acquire) ? place.slot : nullptr;
}

crash::Slot* CrashRecord::sit_down() {
  uint32_t opened = opened_.load(std::memory_order_acquire);
  if (place.of == opened) return place.slot;
  thread_local Seat seat;
  CrashRecord* record = current();
  place.slot = seat.slot = record == nullptr ? nullptr : record->take_slot();
  place.of = seat.of = opened;
  if (place.slot != nullptr) seat.stack.set_up();
  return place.slot;
}

// The first that is free, so that few pages are touched. Null: the thread's calls are not noted.
crash::Slot* CrashRecord::take_slot() {
  MutexLock lock(mutex_);
  for (crash::Slot& slot : file_->slots) {
    if (slot.taken.load(std::memory_order_acquire) != 0) continue;
    slot.depth.store(0, std::memory_order_relaxed);
    slot.taken.store(1, std::memory_order_relaxed);
    return &slot;
  }
  return nullptr;
}

Result<std::unique_ptr<CrashRecord>> CrashRecord::open(const std::string& path) {
  std::unique_ptr<CrashRecord> record(new CrashRecord());
  record->path_ = path;
  if (Status s = record->map(); !s) return s;
  record->begin();
  return record;
}

Status CrashRecord::map() {
  constexpr mode_t kPrivate = 0600;
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kPrivate);
  if (fd_ < 0) return fault(path_, "open it");
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) return {Code::kUnavailable, path_ + ": another gateway has it"};
  if (::fchmod(fd_, kPrivate) != 0) return fault(path_, "make it private");
  if (Status s = crash::keep_death(path_, fd_, died_file()); !s) {
    log::warn("how the gateway ended before is not known", {{"error", s.message()}});
  }
  // Anew, not over the old: every page of it is zeros again.
  if (::ftruncate(fd_, 0) != 0 || ::ftruncate(fd_, sizeof(crash::File)) != 0) return fault(path_, "make it anew");
  // A full disk must show here, not as a SIGBUS at the first note.
  if (int error = ::posix_fallocate(fd_, 0, sizeof(crash::File)); error != 0) {
    return {Code::kIo, path_ + ": no room for it: " + std::strerror(error)};
  }
  void* mapped = ::mmap(nullptr, sizeof(crash::File), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (mapped == MAP_FAILED) return fault(path_, "map it");
  file_ = static_cast<crash::File*>(mapped);
  return Status::ok();
}

void CrashRecord::begin() {
  crash::Header& header = file_->header;
  std::string random = random_bytes(sizeof header.life);
  std::memcpy(&header.life, random.data(), sizeof header.life);
  header.life &= INT64_MAX;  // the store's integers have a sign
  header.started_at = wall_ms();
  copy_text(crash::this_boot(), header.boot);
  header.version = crash::kFormatVersion;
  header.size = sizeof(crash::File);
  header.state.store(crash::kRuns, std::memory_order_relaxed);
  file_->signal.slot = -1;
  // To write first maps one page of the slots; to read first, as whoever looks for one does, sixteen.
  file_->slots.front().taken.store(0, std::memory_order_relaxed);
  header.magic = crash::kMagic;
  opened_.fetch_add(1, std::memory_order_acq_rel);
  current_.store(this, std::memory_order_release);
}

CrashRecord::~CrashRecord() {
  if (current() == this) {
    end();
    current_.store(nullptr, std::memory_order_release);
    opened_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (file_ != nullptr) ::munmap(file_, sizeof(crash::File));
  if (fd_ >= 0) ::close(fd_);
}

uint16_t CrashRecord::add_plugin(std::string_view name, std::string_view build, std::string_view file, const void* inside) {
  crash::Plugin entry{};
  copy_text(name, entry.name);
  copy_text(build, entry.build);
  uint16_t number = 1;  // the same again after a reload: the same number
  while (number <= plugins_ && std::memcmp(&file_->plugins[number], &entry, sizeof entry) != 0) ++number;
  if (number >= crash::kMaxPlugins) {
    log::warn("too many builds of plugins were loaded: calls into this one are not noted", {{"plugin", name}});
    return 0;
  }
  file_->plugins[number] = entry;
  plugins_ = std::max(plugins_, number);
  auto address = reinterpret_cast<uint64_t>(inside);
  auto same = [&](const Library& library) { return library.inside == address && library.plugin == number; };
  if (std::any_of(libraries_.begin(), libraries_.end(), same)) return number;
  libraries_.push_back({address, number, std::string(file)});
  note_modules();
  return number;
}

// All that is loaded now, for the backtrace of a signal: in its handler there is no time to ask.
void CrashRecord::note_modules() {
  struct Noting {
    CrashRecord& record;
    size_t count = 0;
  } noting{*this};
  auto note = [](dl_phdr_info* info, size_t, void* user) {
    auto& [record, count] = *static_cast<Noting*>(user);
    if (count >= crash::kMaxModules) return 1;
    uint64_t end = info->dlpi_addr;
    for (size_t i = 0; i < info->dlpi_phnum; ++i) {
      const auto& segment = info->dlpi_phdr[i];
      if (segment.p_type == PT_LOAD) end = std::max<uint64_t>(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
    }
    record.note_module(record.file_->modules[count++], info->dlpi_addr, end, info->dlpi_name);
    return 0;
  };
  ::dl_iterate_phdr(note, &noting);
}

// A library of which two plugins are made is the last one's; where a call is noted, that tells whose it was.
void CrashRecord::note_module(crash::Module& module, uint64_t begin, uint64_t end, std::string_view file) const {
  module.begin = begin;
  module.end = end;
  module.plugin = 0;
  for (const Library& library : libraries_) {
    if (library.inside < begin || library.inside >= end) continue;
    module.plugin = library.plugin;
    file = library.file;  // not the copy that it was loaded from
  }
  if (file.empty()) file = "postern";
  copy_text(file.substr(file.rfind('/') + 1), module.name);
}

void CrashRecord::suspect(const std::vector<int64_t>& deliveries) {
  for (size_t i = 0; i < std::min(deliveries.size(), crash::kMaxSlots); ++i) {
    file_->suspects[i].store(deliveries[i], std::memory_order_relaxed);
  }
}

void CrashRecord::try_alone(int64_t delivery) { file_->header.alone.store(delivery, std::memory_order_release); }

void CrashRecord::acquit(int64_t delivery) {
  for (auto& suspect : file_->suspects) {
    if (suspect.load(std::memory_order_relaxed) == delivery) suspect.store(0, std::memory_order_relaxed);
  }
  if (file_->header.alone.load(std::memory_order_relaxed) == delivery) file_->header.alone.store(0, std::memory_order_release);
}

}  // namespace postern::plugin
