// How a gateway goes on with another configuration, and how the one before ends.
#include <algorithm>

#include "core/base/broken.h"
#include "core/base/memory.h"
#include "core/gateway/gateway.h"

namespace postern::gateway {
namespace {

constexpr int64_t kCallsBackWithinMs = 1'000;  // for calls into plugins that nobody waits for any more
constexpr std::chrono::milliseconds kLookAtCallsEvery(20);
constexpr int64_t kRenewAgainMs = 60'000;      // after a reload that ends a quarantine was refused
constexpr size_t kMostFaults = 20;             // told of in one message

std::string told(const std::string& file, const std::vector<config::Fault>& faults) {
  std::string text;
  for (size_t i = 0; i < std::min(faults.size(), kMostFaults); ++i) text += (i == 0 ? "" : "\n") + config::to_text(file, faults[i]);
  if (faults.size() > kMostFaults) text += "\nand " + std::to_string(faults.size() - kMostFaults) + " more; `postern check` tells all";
  return text;
}

bool same_listeners(const config::Config& a, const config::Config& b) {
  return std::equal(a.listen.begin(), a.listen.end(), b.listen.begin(), b.listen.end(),
                    [](const config::Listen& x, const config::Listen& y) { return x.address == y.address; });
}

}  // namespace

std::vector<std::string> needing_restart(const config::Config& started, const config::Config& now) {
  const struct {
    const char* setting;
    bool is_same;
  } kSettings[] = {{"gateway.listen", same_listeners(started, now)},
                   {"gateway.loops", started.loops == now.loops},
                   {"admin.listen", started.admin.listen == now.admin.listen},
                   {"admin.socket", started.admin.socket == now.admin.socket},
                   {"store.path", started.store_path == now.store_path},
                   {"gateway.core_dumps", started.core_dumps == now.core_dumps},
                   {"dispatch.workers", started.workers == now.workers}};
  std::vector<std::string> changed;
  for (const auto& of : kSettings) {
    if (!of.is_same) changed.emplace_back(of.setting);
  }
  return changed;
}

std::shared_ptr<const dispatch::Roster> roster_of(const std::shared_ptr<const Generation>& generation) {
  return {generation, &generation->assembly->roster()};
}

store::Retention::Policy policy_of(const config::Retention& r) { return {r.age, r.dead, r.size}; }

// Until adopt() nothing has changed; what has been made by then ends as a generation does.
Status Gateway::reload() {
  service_manager::reloading();
  const std::string& file = config_.file;
  auto load = [&]() -> Status {
    const Status stopping(Code::kUnavailable, "the gateway is about to stop");
    const std::shared_ptr<const Generation> before = generations_.current();
    config::Loaded loaded{before->config, {}};
    if (reread_.exchange(false)) {
      auto given_up = [this] { return reloader_->stopping(); };
      if (Status s = rehearse_ ? rehearse_(file, given_up) : Status::ok(); !s) return s;
      loaded = config::load_config(file);
    }
    if (reloader_->stopping()) return stopping;
    std::unique_ptr<Assembly> assembly;
    if (loaded.faults.empty()) assembly = Assembly::make(loaded.config, loaded.faults, before->assembly.get());
    if (!loaded.faults.empty()) return {Code::kInvalid, told(file, loaded.faults)};
    auto made = Generation::make(std::move(loaded.config), std::move(assembly), before.get());
    if (!made) return made.status();
    (*made)->number = before->number + 1;
    const std::shared_ptr<Generation> next = generations_.watch(std::move(*made));
    if (Status s = next->assembly->connect(client_, outlet_for(next), *store_, next); !s) return s;
    judge(*next);
    if (Status s = next->assembly->activate(); !s) return s;
    if (reloader_->stopping()) return stopping;
    adopt(next);
    return Status::ok();
  };
  Status status = load();
  if (status) {
    log::info("reloaded", {{"config", file}, {"generation", generations_.current()->number}});
  } else {
    log::error("not reloaded; the configuration from before goes on", {{"config", file}, {"error", status.message()}});
  }
  if (reloader_->stopping()) return status;
  give_back_memory();
  renew_after_quarantine(status ? 0 : wall_ms() + kRenewAgainMs);
  service_manager::ready(summary());
  return status;
}

// Whoever takes deliveries is there before the first event is stored for them.
void Gateway::adopt(const std::shared_ptr<const Generation>& generation) {
  const config::Config& config = generation->config;
  dispatcher_->adopt(roster_of(generation));
  timers_->adopt(roster_of(generation));
  on_every_loop([&](Loop& loop) {
    loop.front->adopt(generation);
    set_entrances(loop, *generation);
    if (broken::kDropOnReload) loop.front->connections().close();
    for (auto& admin : loop.admins) {
      if (admin->needs_token()) admin->adopt(config.admin.token, config.admin.open_metrics);
    }
  });
  set_health_checks(generation);
  generations_.set_current(generation);
  tell_of_quarantines(*generation);
  limit_connections(config);
  store_->set_max_backlog(config.max_backlog);
  retention_->adopt(policy_of(config.retention));
  log::set_level(log::to_level(config.log_level));
  warn_of_certificates(generation->assembly->entrances());
  for (const std::string& setting : needing_restart(config_, config)) {
    log::warn("this setting is used from the next start on", {{"setting", setting}});
  }
}

// Nothing is under way in it any more but what nobody waits for: calls to the outside that a handler has left behind have until the drain
// is over. One in whose plugins a thread hangs is looked at again, for it may come back.
void Gateway::retire(std::unique_ptr<Generation> generation) {
  if (generation) {
    int64_t until = steady_ms() + generation->config.drain.count();
    while (generation->assembly->calls_outside() > 0 && steady_ms() < until && !reloader_->stopping()) {
      std::this_thread::sleep_for(kLookAtCallsEvery);
    }
    if (end(*generation, kCallsBackWithinMs)) return;
    log::warn("a thread does not come back from a plugin of a configuration that has ended", {{"generation", generation->number}});
    ending_.push_back(std::move(generation));
  }
  std::erase_if(ending_, [this](const auto& ending) { return end(*ending, 0); });
}

bool Gateway::end(Generation& generation, int64_t within_ms) {
  if (!generation.assembly->stop_calls(within_ms)) return false;
  generation.assembly->deactivate(static_cast<uint32_t>(generation.config.drain.count()));
  log::info("the plugins of a configuration have ended", {{"generation", generation.number}});
  return true;
}

// At the end of the gateway, when the reloader's threads have ended. False when a thread is inside a plugin: nothing may be destroyed then.
bool Gateway::retire_all(const std::vector<std::shared_ptr<const Generation>>& held) {
  do {
    retire(generations_.take_ended());
  } while (generations_.has_ended());
  bool all_back = ending_.empty();
  for (const auto& generation : held) all_back = generation->assembly->stop_calls(kCallsBackWithinMs) && all_back;
  return all_back;
}

}  // namespace postern::gateway
