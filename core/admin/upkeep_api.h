// UpkeepApi: what the admin API lets people do with stored deliveries and events: look for them by filter, replay, drop and remove them,
// and follow or cancel the jobs that do it.
//
// Bodies are JSON objects, read strictly: an unknown member, a wrong type or a number out of its bounds is refused, and nothing is done.
// Filters: plugin, type (* stands for any text), error (a part), since, until (Unix milliseconds). Without any of them and without
// `ids` it must be said that all are meant: "all": true.
// Thread-safety: any thread that may wait for the disk.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/dispatch/replay_target.h"
#include "core/store/retention.h"
#include "core/store/store.h"
#include "core/store/upkeep.h"

namespace postern::admin {

class UpkeepApi {
 public:
  struct Sources {
    store::Store& store;
    store::Upkeep& upkeep;
    dispatch::ReplayTarget& target;
    std::function<store::Retention::Policy()> retention;  // as configured now
    std::function<void()> on_job;  // there is a new one
  };
  explicit UpkeepApi(Sources sources) : sources_(std::move(sources)) {}

  // A page of what matches: {"matched": N, "deliveries": […], "next": cursor or null}. Members beside the filters: after, limit (rows),
  // count (go on counting beyond the limit), newest_first. One call takes a quarter of a second at most; `next` leads on.
  Result<nlohmann::json> find(bool settled, std::string_view body) const;
  // {"job": … or null, "refused": [{"id", "error"}]}; ids may name some that cannot be, which are refused one by one. rate: a second.
  Result<nlohmann::json> replay_dead(std::string_view body) const;
  Result<nlohmann::json> drop_dead(std::string_view body) const;
  Result<nlohmann::json> replay_events(std::string_view body) const;
  // older_than (milliseconds; default: the configured retention), dead (their dead deliveries too); dry_run with after: {"events", "next"}.
  Result<nlohmann::json> prune(std::string_view body) const;

  Result<nlohmann::json> jobs(bool running_only) const;
  Result<nlohmann::json> job(std::string_view id) const;
  Result<nlohmann::json> cancel(std::string_view id) const;

 private:
  struct Named;
  Result<nlohmann::json> start(store::JobKind kind, std::string_view body) const;
  Status name_deliveries(const nlohmann::json& ids, bool for_replay, Named& named) const;
  Status name_events(const nlohmann::json& ids, Named& named) const;
  Status add_deliveries_of(const nlohmann::json& id, const store::EventRow& event, Named& named) const;
  std::string why_not(const store::DeliveryRow& row, bool for_replay) const;

  Sources sources_;
};

}  // namespace postern::admin
