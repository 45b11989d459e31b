#include "core/plugin/quarantine.h"

#include <algorithm>

namespace postern::plugin {

int64_t quarantined_until(const config::Quarantine& policy, std::vector<int64_t> crashes, int64_t now_ms) {
  std::sort(crashes.begin(), crashes.end());
  int64_t until = 0;
  for (size_t last = policy.crashes - 1; last < crashes.size(); ++last) {
    bool often = crashes[last] - crashes[last + 1 - policy.crashes] <= policy.within.count();
    if (often) until = crashes[last] + policy.lasts.count();
  }
  if (until <= now_ms) return 0;
  return std::min(until, now_ms + policy.lasts.count());  // a clock that was set back must not hold it for days
}

Standing judge(const std::string& plugin, const std::string& build, const config::Quarantine& policy,
               const std::vector<store::Crash>& crashes, int64_t now_ms) {
  Standing standing;
  standing.plugin = plugin;
  standing.build = build;
  std::vector<int64_t> counted;
  for (const store::Crash& crash : crashes) {
    if (crash.plugin != plugin) continue;
    ++standing.all;
    if (crash.build == build && crash.pardoned_at == 0) counted.push_back(crash.at);
    if (crash.at < standing.last_at) continue;
    standing.last_at = crash.at;
    standing.last = (crash.signal.empty() ? "died without a word" : crash.signal + " in " + crash.place) + " (" + crash.entry_point + ")";
  }
  standing.crashes = counted.size();
  standing.held_until = quarantined_until(policy, std::move(counted), now_ms);
  return standing;
}

}  // namespace postern::plugin
