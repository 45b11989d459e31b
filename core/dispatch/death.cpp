#include "core/dispatch/death.h"

#include <utility>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/log.h"

namespace postern::dispatch {

void tell_of_death(store::Settlement& death, const store::StoredEvent& event, const std::string& subscriber, const Roster& roster) {
  bool critical = roster.critical.contains(event.provider, event.type);
  log::write(critical ? log::Level::kError : log::Level::kWarn, "a delivery is dead; `postern dead show` tells more",
             {{"delivery", death.delivery}, {"event_id", event.id}, {"subscriber", subscriber}, {"attempts", death.attempts},
              {"error", death.detail}});
  if (!critical) return;
  ingest::NewEvent notice = death_notice(death, event, subscriber);
  notice.received_at = wall_ms();
  notice.external_id = delivery_id(death.delivery) + "/0";  // the effects of a delivery that dies do not count: it is the only one
  notice.targets = roster.targets.match(notice);
  death.emitted.push_back(std::move(notice));
}

}  // namespace postern::dispatch
