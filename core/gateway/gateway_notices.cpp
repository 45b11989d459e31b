// The gateway looks at itself, and publishes what it finds as a plugin would.
#include <condition_variable>
#include <mutex>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"
#include "core/dispatch/critical_types.h"
#include "core/gateway/gateway.h"
#include "core/ingest/identify.h"

namespace postern::gateway {

void Gateway::publish_notice(std::string_view type, std::string body, std::string id) {
  auto event = ingest::identify(dispatch::kGatewayProvider, {std::string(type), std::move(body), "", std::move(id)});
  Status taken = event ? publisher_.publish(std::move(*event), 0, nullptr) : event.status();
  if (!taken) log::warn("what the gateway has to tell could not be published", {{"type", type}, {"error", taken.message()}});
}

Notices::Sight Gateway::look_at_itself() {
  Notices::Sight sight;
  for (auto& s : dispatcher_->status().subscribers) {
    sight.breakers.push_back({s.plugin, "subscriber", s.name, s.breaker_opens, s.failures, s.next_trial_at, s.last_error});
  }
  for (auto& u : client_.status()) {
    sight.breakers.push_back({u.plugin, "upstream", u.name, u.opens, u.failures, u.next_trial_at, u.last_error});
  }
  sight.waiting = store_->counters().open;
  sight.max_waiting = generations_.current()->config.health.max_waiting;
  return sight;
}

void Gateway::tell_of_quarantines(const Generation& generation) {
  for (const plugin::Standing& standing : generation.assembly->standings()) {
    if (standing.held_until != 0) notices_.tell_of_quarantine(standing);
  }
}

void Gateway::start_notices() {
  publisher_.connect(outlet_for(generations_.current()), quarantine_ends_, dispatch::kGatewayProvider);
  tell_of_quarantines(*generations_.current());
  notice_thread_ = std::jthread([this](std::stop_token stop) {
    name_thread("notices");
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (true) {
      never.wait_for(lock, stop, std::chrono::milliseconds(Notices::kLookEveryMs), [] { return false; });
      if (stop.stop_requested()) return;
      notices_.look(look_at_itself(), steady_ms());
    }
  });
}

void Gateway::stop_notices() {
  notice_thread_.request_stop();
  if (notice_thread_.joinable()) notice_thread_.join();
}

}  // namespace postern::gateway
