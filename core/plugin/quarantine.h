// Quarantine: whether a plugin has crashed too often to be called. A crash ends the gateway, so this is asked at a start, and again at a
// reload: a plugin leaves quarantine after its time, when somebody pardons it, or with another build, whose crashes are counted by
// themselves.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/store/crashes.h"

namespace postern::plugin {

// How a plugin stands.
struct Standing {
  std::string plugin, build;
  uint64_t crashes = 0;    // of this build that count
  uint64_t all = 0;        // of the plugin that the store has
  int64_t last_at = 0;     // Unix milliseconds; 0: it has not crashed
  std::string last;        // "SIGSEGV in acme.so+0x1234 (handler)"
  int64_t held_until = 0;  // Unix milliseconds; 0: it is called
};

// Until when a plugin is not called whose build crashed at these times; 0: it is called. Unix milliseconds; in any order.
int64_t quarantined_until(const config::Quarantine& policy, std::vector<int64_t> crashes, int64_t now_ms);

// `crashes`: what the store has; other plugins' may be among them.
Standing judge(const std::string& plugin, const std::string& build, const config::Quarantine& policy,
               const std::vector<store::Crash>& crashes, int64_t now_ms);

}  // namespace postern::plugin
