#include "core/dispatch/crash_attempt.h"

#include <utility>

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/log.h"
#include "core/dispatch/delays.h"

namespace postern::dispatch {
namespace {

// As the dispatcher tells of those that die of other things.
void tell_of_death(store::Settlement& death, const store::DeliveryRow& delivery, const store::StoredEvent& event, const Roster& roster) {
  bool critical = roster.critical.contains(event.provider, event.type);
  log::write(critical ? log::Level::kError : log::Level::kWarn, "a delivery is dead; `postern dead show` tells more",
             {{"delivery", death.delivery}, {"event_id", event.id}, {"subscriber", delivery.subscriber}, {"attempts", death.attempts},
              {"error", death.detail}});
  if (!critical) return;
  ingest::NewEvent notice = death_notice(death, event, delivery.subscriber);
  notice.received_at = wall_ms();
  notice.external_id = delivery_id(death.delivery) + "/0";
  notice.targets = roster.targets.match(notice.provider, notice.type);
  death.emitted.push_back(std::move(notice));
}

}  // namespace

std::unique_ptr<store::Settlement> settle_crash(const store::DeliveryRow& delivery, const store::StoredEvent& event,
                                                const store::Crash& crash, uint32_t earlier, const config::Policies& policies,
                                                const Roster& roster) {
  if (delivery.state != "queued" && delivery.state != "running") return nullptr;
  auto settlement = std::make_unique<store::Settlement>();
  settlement->delivery = delivery.seq;
  settlement->event = delivery.event;
  settlement->plugin = delivery.plugin;
  settlement->attempts = delivery.attempts + 1;
  settlement->started_at = crash.at;
  settlement->outcome = store::kCrashOutcome;
  settlement->detail = crash.explain();
  if (earlier + 1 >= policies.crash_attempts || settlement->attempts >= policies.retry.attempts) {
    settlement->kind = store::Settlement::Kind::kDead;
    tell_of_death(*settlement, delivery, event, roster);
  } else {
    settlement->kind = store::Settlement::Kind::kRetry;
    settlement->due_at = wall_ms() + retry_delay_ms(policies.retry, settlement->attempts, std::nullopt, random_share());
  }
  return settlement;
}

}  // namespace postern::dispatch
