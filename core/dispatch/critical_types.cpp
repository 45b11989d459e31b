#include "core/dispatch/critical_types.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/ingest/glob.h"

namespace postern::dispatch {

bool CriticalTypes::contains(const std::string& provider, const std::string& type) const {
  auto last = std::find_if(marks_.rbegin(), marks_.rend(), [&](const Mark& mark) {
    return mark.provider == provider && ingest::matches_type(mark.glob, provider, type);
  });
  return last != marks_.rend() && last->critical;
}

ingest::NewEvent death_notice(const store::Settlement& death, const store::StoredEvent& event, const std::string& subscriber) {
  nlohmann::json body = {{"delivery", death.delivery},
                         {"delivery_id", delivery_id(death.delivery)},
                         {"event_id", event.id},
                         {"provider", event.provider},
                         {"type", event.type},
                         {"external_id", event.external_id},
                         {"order_key", event.order_key},
                         {"received_at", event.received_at},
                         {"plugin", death.plugin},
                         {"subscriber", subscriber},
                         {"attempts", death.attempts},
                         {"last_error", death.detail},
                         {"died_at", wall_ms()}};
  ingest::NewEvent notice;
  notice.provider = kGatewayProvider;
  notice.type = kDeliveryDead;
  notice.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  notice.order_key = event.order_key;
  notice.depth = event.depth + 1;
  return notice;
}

}  // namespace postern::dispatch
