// How a gateway begins after a crash, and how plugins that have crashed too often are held and released.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "core/gateway/gateway.h"
#include "core/gateway/inquest.h"
#include "core/plugin/crash_record.h"

namespace postern::gateway {

// In this order: what the life before died of decides who is called in this one, and what runs first.
Status Gateway::begin_dispatch() {
  const std::shared_ptr<const Generation> first = generations_.current();
  plugin::CrashRecord* record = plugin::CrashRecord::current();
  std::vector<int64_t> suspects;
  if (record != nullptr) {
    auto named = hold_inquest(*record, *store_, *store_, first->assembly->roster(), first->config.policies);
    if (!named) return named.status().with_context("how the gateway ended before");
    suspects = std::move(*named);
  }
  judge(*first);
  if (Status s = first->assembly->activate(); !s) return s;
  if (record != nullptr) {
    if (Status s = dispatcher_->run_first(suspects, *record); !s) return s;
  }
  dispatcher_->start();
  start_notices();
  return Status::ok();
}

// By what the store has of crashes. Where that cannot be read they are called: to lose a good plugin for a fault of the disk is worse.
void Gateway::judge(const Generation& generation) {
  auto crashes = store_->crashes("", store::kMaxCrashes);
  if (!crashes) log::error("crashes of plugins cannot be read; none is held", {{"error", crashes.status().message()}});
  for (const auto& instance : generation.assembly->instances()) {
    const auto& plugins = generation.config.plugins;
    auto set = std::find_if(plugins.begin(), plugins.end(), [&](const config::Plugin& p) { return p.name == instance->name(); });
    plugin::Standing standing = plugin::judge(instance->name(), instance->library().build(), set->quarantine,
                                              crashes ? *crashes : std::vector<store::Crash>(), wall_ms());
    if (standing.held_until != 0) {
      log::error("a plugin has crashed too often, and is not called; its events wait. `postern plugins release` takes it back",
                 {{"plugin", standing.plugin}, {"crashes", standing.crashes}, {"until", iso8601(standing.held_until)},
                  {"last", standing.last}});
    }
    generation.assembly->judge(std::move(standing));
  }
}

// When a quarantine is over, the same configuration comes to work anew, with the plugin in it.
void Gateway::renew_after_quarantine(int64_t not_before_ms) {
  if (quarantine_end_) quarantine_ends_.remove(*std::exchange(quarantine_end_, std::nullopt));
  int64_t next = INT64_MAX;
  for (const plugin::Standing& standing : generations_.current()->assembly->standings()) {
    if (standing.held_until != 0) next = std::min(next, standing.held_until);
  }
  if (next == INT64_MAX) return;
  int64_t in_ms = std::max(next, not_before_ms) - wall_ms();
  quarantine_end_ = quarantine_ends_.set(steady_ms() + std::max<int64_t>(in_ms, 0) + 1, [this] { reloader_->ask(); });
}

Result<nlohmann::json> Gateway::release(const std::string& plugin) {
  const std::shared_ptr<const Generation> generation = generations_.current();
  const auto& standings = generation->assembly->standings();
  auto found = std::find_if(standings.begin(), standings.end(), [&](const plugin::Standing& s) { return s.plugin == plugin; });
  if (found == standings.end()) return Status(Code::kNotFound, "the configuration has no plugin " + plugin);
  if (found->held_until == 0) return Status(Code::kInvalid, "plugin " + plugin + " is not in quarantine");
  if (Status s = store_->pardon(plugin); !s) return s;
  log::info("a plugin is released from quarantine", {{"plugin", plugin}});
  return nlohmann::json{{"plugin", plugin}, {"reload", reloader_->ask()}};
}

}  // namespace postern::gateway
