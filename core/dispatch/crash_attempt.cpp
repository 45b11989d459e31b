#include "core/dispatch/crash_attempt.h"

#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/dispatch/death.h"
#include "core/dispatch/delays.h"

namespace postern::dispatch {
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
    tell_of_death(*settlement, event, delivery.subscriber, roster);
  } else {
    settlement->kind = store::Settlement::Kind::kRetry;
    settlement->due_at = wall_ms() + retry_delay_ms(policies.retry, settlement->attempts, std::nullopt, random_share());
  }
  return settlement;
}

}  // namespace postern::dispatch
