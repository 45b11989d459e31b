#include "core/gateway/inquest.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/base/broken.h"
#include "core/base/log.h"
#include "core/dispatch/crash_attempt.h"
#include "core/plugin/crash_report.h"

namespace postern::gateway {
namespace {

void tell(const plugin::CrashReport& report) {
  if (!report.crash) {
    log::warn(report.told, {{"suspects", report.suspects.size()}});
    return;
  }
  const store::Crash& crash = *report.crash;
  log::error(report.told, {{"plugin", crash.plugin}, {"build", crash.build}, {"signal", crash.signal}, {"place", crash.place},
                           {"delivery", crash.delivery}, {"backtrace", crash.backtrace}});
}

const config::Policies& policies_of(const store::DeliveryRow& delivery, const dispatch::Roster& roster, const config::Policies& otherwise) {
  auto found = std::find_if(roster.subscribers.begin(), roster.subscribers.end(), [&](const dispatch::Subscriber& s) {
    return s.plugin == delivery.plugin && s.name == delivery.subscriber;
  });
  return found == roster.subscribers.end() ? otherwise : found->policies;
}

// Null: it has none, or that is settled or gone.
Result<std::unique_ptr<store::Settlement>> settlement_of(const store::Crash& crash, store::Store& store, store::Crashes& crashes,
                                                         const dispatch::Roster& roster, const config::Policies& otherwise) {
  std::unique_ptr<store::Settlement> none;
  if (crash.delivery == 0) return none;
  store::DeliveryFilter filter;
  filter.seq = crash.delivery;
  auto rows = store.deliveries(filter);
  if (!rows) return rows.status();
  if (rows->empty()) return none;
  const store::DeliveryRow& delivery = rows->front();
  auto event = store.event(delivery.event);
  if (!event && event.status().code() == Code::kNotFound) return none;
  if (!event) return event.status();
  auto earlier = crashes.crash_attempts(crash.delivery);
  if (!earlier) return earlier.status();
  return dispatch::settle_crash(delivery, **event, crash, *earlier, policies_of(delivery, roster, otherwise), roster);
}

}  // namespace

Result<std::vector<int64_t>> hold_inquest(plugin::CrashRecord& record, store::Store& store, store::Crashes& crashes,
                                          const dispatch::Roster& roster, const config::Policies& otherwise) {
  std::vector<int64_t> suspects;
  if constexpr (broken::kForgetCrashes) ::unlink(record.died_file().c_str());
  auto report = plugin::read_crash_report(record.died_file());
  if (!report) {
    log::warn("how the gateway ended before is not known", {{"error", report.status().message()}});
  } else if (*report) {
    tell(**report);
    suspects = (*report)->suspects;
    if (const auto& crash = (*report)->crash) {
      auto settlement = settlement_of(*crash, store, crashes, roster, otherwise);
      if (!settlement) return settlement.status();
      auto counted = crashes.add_crash(*crash, std::move(*settlement));
      if (!counted) return counted.status();
    }
    record.suspect(suspects);
  }
  ::unlink(record.died_file().c_str());
  return suspects;
}

}  // namespace postern::gateway
