// Quarantine: plugins that have crashed too often, as far as this process is concerned. A crash ends the gateway, so it is at a start that
// a plugin comes into quarantine: it is not activated then, and nobody calls it. It comes out of it after its time, by command, or with
// another build, whose crashes are counted by themselves.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/config/config.h"
#include "core/store/crashes.h"

namespace postern::plugin {

// Until when a plugin is not called whose build crashed at these times; 0: it is called. Unix milliseconds; crashes in any order.
int64_t quarantined_until(const config::Quarantine& policy, std::vector<int64_t> crashes, int64_t now_ms);

class Quarantine {
 public:
  struct State {
    std::string plugin, build;
    uint64_t crashes = 0;   // of this build that count, of those that the store has
    uint64_t all = 0;       // of the plugin, since the store has kept them
    int64_t last_at = 0;    // Unix milliseconds; 0: never
    std::string last;       // "SIGSEGV in acme.so+0x1234, in its handler"
    int64_t until = 0;      // Unix milliseconds; 0: it is called
  };

  // What the store has of a plugin's crashes decides about this build of it; `crashes` may have other plugins' too.
  void judge(const std::string& plugin, const std::string& build, const config::Quarantine& policy,
             const std::vector<store::Crash>& crashes, int64_t now_ms) EXCLUDES(mutex_);

  bool holds(const std::string& plugin) const EXCLUDES(mutex_);
  std::vector<State> states() const EXCLUDES(mutex_);  // of all plugins that were judged

  // When the next one's time is over; nothing when none is held.
  std::optional<int64_t> next_end() const EXCLUDES(mutex_);
  // Its time is over now. False: it was not held.
  bool release(const std::string& plugin) EXCLUDES(mutex_);
  // Those whose time is over: they are held no more, and may be called.
  std::vector<std::string> take_released(int64_t now_ms) EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::map<std::string, State> states_ GUARDED_BY(mutex_);
};

}  // namespace postern::plugin
