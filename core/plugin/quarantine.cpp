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

void Quarantine::judge(const std::string& plugin, const std::string& build, const config::Quarantine& policy,
                       const std::vector<store::Crash>& crashes, int64_t now_ms) {
  State state;
  state.plugin = plugin;
  state.build = build;
  std::vector<int64_t> counted;
  for (const store::Crash& crash : crashes) {
    if (crash.plugin != plugin) continue;
    ++state.all;
    if (crash.build == build && crash.pardoned_at == 0) counted.push_back(crash.at);
    if (crash.at < state.last_at) continue;
    state.last_at = crash.at;
    state.last = (crash.signal.empty() ? "died without a word" : crash.signal + " in " + crash.place) + " (" + crash.entry_point + ")";
  }
  state.crashes = counted.size();
  state.until = quarantined_until(policy, std::move(counted), now_ms);
  MutexLock lock(mutex_);
  states_[plugin] = std::move(state);
}

bool Quarantine::holds(const std::string& plugin) const {
  MutexLock lock(mutex_);
  auto found = states_.find(plugin);
  return found != states_.end() && found->second.until != 0;
}

std::vector<Quarantine::State> Quarantine::states() const {
  MutexLock lock(mutex_);
  std::vector<State> list;
  for (const auto& [plugin, state] : states_) list.push_back(state);
  return list;
}

std::optional<int64_t> Quarantine::next_end() const {
  MutexLock lock(mutex_);
  std::optional<int64_t> next;
  for (const auto& [plugin, state] : states_) {
    if (state.until != 0) next = std::min(next.value_or(state.until), state.until);
  }
  return next;
}

bool Quarantine::release(const std::string& plugin) {
  MutexLock lock(mutex_);
  auto found = states_.find(plugin);
  if (found == states_.end() || found->second.until == 0) return false;
  found->second.until = 1;
  found->second.crashes = 0;
  return true;
}

std::vector<std::string> Quarantine::take_released(int64_t now_ms) {
  MutexLock lock(mutex_);
  std::vector<std::string> released;
  for (auto& [plugin, state] : states_) {
    if (state.until == 0 || state.until > now_ms) continue;
    state.until = 0;
    released.push_back(plugin);
  }
  return released;
}

}  // namespace postern::plugin
