// Crashes: what ended earlier lives of the gateway inside plugins. Each counts once, with the delivery on whose behalf the plugin was
// called: both become durable together. The crashes of one build of a plugin decide whether it is called any more; see
// core/plugin/quarantine.h.
// Thread-safety: any thread that may wait for the disk. After the store's stop() writing answers kUnavailable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/store/store.h"

namespace postern::store {

constexpr size_t kMaxCrashes = 1000;  // kept: the newest

struct Crash {
  int64_t life = 0;  // of the gateway that it ended: another number for each
  std::string plugin, build;
  std::string entry_point;  // "handler"; "thread": one of the plugin's own
  int64_t delivery = 0;     // on whose behalf it was called; 0: none
  int64_t at = 0;           // Unix milliseconds
  std::string signal;       // "SIGSEGV"; empty: it ended the gateway without a word, with no other delivery at work
  std::string place;        // "acme.so+0x1234", where there is a signal
  std::string backtrace;    // a line for each frame, where there is a signal
  int64_t pardoned_at = 0;  // when somebody released the plugin: it does not count any more; 0: it does

  // For the delivery's attempt: "the gateway crashed in it: SIGSEGV in acme.so+0x1234".
  std::string explain() const {
    if (signal.empty()) return "the gateway died in it without a word, with no other delivery at work";
    return "the gateway crashed in it: " + signal + " in " + place;
  }
};

// `outcome` of an attempt that ended the gateway.
constexpr const char* kCrashOutcome = "crash";

class Crashes {
 public:
  virtual ~Crashes() = default;

  // With what becomes of its delivery; null: nothing does, or it has none. False: this life's crash was counted before, and nothing is
  // written. A delivery that is settled meanwhile stays as it is.
  virtual Result<bool> add_crash(const Crash& crash, std::unique_ptr<Settlement> settlement) = 0;
  // The newest first. No plugin: everybody's.
  virtual Result<std::vector<Crash>> crashes(const std::string& plugin, size_t limit) = 0;
  // Those of the plugin until now do not count any more.
  virtual Status pardon(const std::string& plugin) = 0;
  // How many attempts of a delivery have ended the gateway, since it was last replayed.
  virtual Result<uint32_t> crash_attempts(int64_t delivery) = 0;
};

}  // namespace postern::store
