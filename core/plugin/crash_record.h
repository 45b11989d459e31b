// CrashRecord: who is inside a plugin just now, noted in a mapped file beside the store, so that the next start knows what the gateway
// died of: a thread notes {plugin, entry point, delivery} before it calls into a plugin, and takes that back after it. A note is a few
// stores into the thread's own slot; there is no system call and no lock but at a thread's first call. `serve` alone has a record;
// without one, notes go nowhere. The file's form: crash_format.h; who reads it: crash_report.h; what a signal adds: crash_signal.h.
//
// Thread-safety: open() and the destructor on the control thread, with no thread inside a plugin; Inside on any thread; the others as
// they say.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/dispatch/suspects.h"
#include "core/plugin/crash_format.h"
#include "core/plugin/kept.h"

namespace postern::plugin {

// Kept in the record and the store: new ones come at the end.
enum class EntryPoint : uint16_t {
  kCreate,
  kInit,
  kActivate,
  kDeactivate,
  kDestroy,
  kHandler,
  kVerify,
  kSign,
  kReply,
  kTimer,
  kHealth,
  kService,
  kAnswer,  // the callback of a request to the outside
  kSession,  // a call of a WebSocket session
  kPublished,  // the callback of an event that the plugin has published
};
const char* to_text(EntryPoint entry);  // "handler"; "call" for what is none

// What is about to be called.
struct CallSite {
  uint16_t plugin = 0;  // its number in the record; 0: it is not noted
  EntryPoint entry = EntryPoint::kCreate;
  int64_t delivery = 0;  // on whose behalf; 0: none
};

class CrashRecord final : public dispatch::SuspectWatch {
 public:
  // Makes or takes over the file, 0600. What it had of an earlier life that did not end in order is in died_file() afterwards, unless one
  // is there already that nobody has looked at. kUnavailable: another gateway has it.
  static Result<std::unique_ptr<CrashRecord>> open(const std::string& path);
  // It ends in order.
  ~CrashRecord() override;
  CrashRecord(const CrashRecord&) = delete;
  CrashRecord& operator=(const CrashRecord&) = delete;

  // The one that is open in this process; null: none.
  static CrashRecord* current() { return current_.load(std::memory_order_acquire); }
  std::string died_file() const { return path_ + ".died"; }
  const crash::File& file() const { return *file_; }

  // The number of this build of a plugin. `inside`: an address in its library, `file`. 0 when there are too many: it is not noted then.
  // One thread at a time.
  uint16_t add_plugin(std::string_view name, std::string_view build, std::string_view file, const void* inside);
  // Deliveries that have to be run one at a time before others. Before threads call into plugins.
  void suspect(const std::vector<int64_t>& deliveries);
  // That one runs now, alone; and then, that it has come back. Any thread, one at a time.
  void try_alone(int64_t delivery) override;
  void acquit(int64_t delivery) override;

  // From now on what is still inside plugins says nothing: the gateway ends in order. Any thread.
  void end() { file_->header.state.store(crash::kEnded, std::memory_order_release); }

  // For crash_signal.h.
  crash::Signal& signal() { return file_->signal; }

 private:
  friend class Inside;
  struct Seat;

  CrashRecord() = default;
  Status map();
  void begin();
  void note_modules();
  void note_module(crash::Module& module, uint64_t begin, uint64_t end, std::string_view file) const;
  static crash::Slot* sit_down();
  crash::Slot* take_slot() EXCLUDES(mutex_);

  static std::atomic<CrashRecord*> current_;
  static std::atomic<uint32_t> opened_;  // counts records: a thread's seat in an earlier one is none in this

  std::string path_;
  int fd_ = -1;
  crash::File* file_ = nullptr;
  uint16_t plugins_ = 0;  // numbers that are given
  struct Library {
    uint64_t inside;  // an address
    uint16_t plugin;
    std::string file;
  };
  std::vector<Library> libraries_;
  Mutex mutex_;
};

// While it lives, this thread is inside a plugin. Async-signal-safe but for the thread's first one.
class Inside {
 public:
  explicit Inside(const CallSite& site) : slot_(site.plugin == 0 ? nullptr : CrashRecord::sit_down()) {
    if (slot_ == nullptr) return;
    uint32_t depth = slot_->depth.load(std::memory_order_relaxed);
    if (depth < crash::kMaxDepth) slot_->frames[depth] = {site.delivery, site.plugin, static_cast<uint16_t>(site.entry), 0};
    slot_->depth.store(depth + 1, std::memory_order_release);  // after the frame: a signal may come in between
  }
  ~Inside() {
    if (slot_ != nullptr) slot_->depth.store(slot_->depth.load(std::memory_order_relaxed) - 1, std::memory_order_release);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  // The slot of this thread, for a signal handler; null: it has none.
  static const crash::Slot* slot_of_this_thread();

 private:
  crash::Slot* const slot_;
  const Kept kept_;
};

}  // namespace postern::plugin
