#include "core/admin/upkeep_api.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/admin/body_reader.h"
#include "core/admin/views.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/log.h"

namespace postern::admin {
namespace {

using nlohmann::json;
using store::JobKind;

constexpr size_t kMostIds = 1000;
constexpr int64_t kMostRows = 10'000;
constexpr int64_t kMostRate = 100'000;
constexpr uint32_t kUsualRate = 1000;
constexpr std::chrono::milliseconds kLookFor(250);
constexpr size_t kDeliveriesOfOne = 10'000;  // as many as an event has subscribers

store::Selection read_selection(BodyReader& body) {
  store::Selection s;
  s.plugin = body.text("plugin");
  s.type = body.text("type");
  s.error = body.text("error");
  s.since = body.whole("since", 0, 0, INT64_MAX);
  s.until = body.whole("until", 0, 0, INT64_MAX);
  return s;
}

bool is_any(const store::Selection& s) {
  return s.plugin.empty() && s.type.empty() && s.error.empty() && s.since == 0 && s.until == 0;
}

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }
json or_null(int64_t number) { return number == 0 ? json(nullptr) : json(number); }

json to_json(const store::Job& job) {
  return {{"id", job.id},
          {"kind", store::to_text(job.kind)},
          {"state", store::to_text(job.state)},
          {"plugin", or_null(job.selection.plugin)},
          {"type", or_null(job.selection.type)},
          {"since", or_null(job.selection.since)},
          {"until", or_null(job.selection.until)},
          {"error", or_null(job.selection.error)},
          {"rate", job.rate},
          {"total", job.total ? json(*job.total) : json(nullptr)},
          {"done", job.done},
          {"skipped", job.skipped},
          {"created_at", job.created_at},
          {"finished_at", or_null(job.finished_at)}};
}

Result<json> shown(const Result<store::Job>& job) { return job ? Result<json>(to_json(*job)) : Result<json>(job.status()); }

std::optional<int64_t> number_in(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

Status unknown_job() { return {Code::kNotFound, "no job has this number"}; }

}  // namespace

// What was named one by one, and why some of it cannot be.
struct UpkeepApi::Named {
  std::vector<int64_t> deliveries;
  json refused = json::array();

  void refuse(const json& id, const std::string& why) { refused.push_back({{"id", id}, {"error", why}}); }
};

Result<json> UpkeepApi::find(bool settled, std::string_view text) const {
  BodyReader body(text);
  store::Selection selection = read_selection(body);
  store::Scan scan;
  scan.after = body.whole("after", 0, 0, INT64_MAX);
  scan.limit = static_cast<size_t>(body.whole("limit", 50, 0, kMostRows));
  scan.count_on = body.flag("count");
  scan.newest_first = body.flag("newest_first");
  scan.time = kLookFor;
  if (Status s = body.end(); !s) return s;
  if (!scan.count_on && scan.limit == 0) return Status(Code::kInvalid, "limit must be more than 0, or count true");
  auto found = sources_.upkeep.find(selection, settled, scan);
  if (!found) return found.status();
  json rows = json::array();
  for (const store::DeliveryRow& row : found->rows) rows.push_back(to_json(row));
  return json{{"matched", found->matched}, {"deliveries", std::move(rows)}, {"next", or_null(found->next)}};
}

Result<json> UpkeepApi::replay_dead(std::string_view body) const { return start(JobKind::kReplay, body); }
Result<json> UpkeepApi::drop_dead(std::string_view body) const { return start(JobKind::kDrop, body); }
Result<json> UpkeepApi::replay_events(std::string_view body) const { return start(JobKind::kRerun, body); }

Result<json> UpkeepApi::start(JobKind kind, std::string_view text) const {
  BodyReader body(text);
  store::NewJob wanted;
  wanted.kind = kind;
  wanted.selection = read_selection(body);
  wanted.rate = static_cast<uint32_t>(body.whole("rate", kUsualRate, 1, kMostRate));
  bool all = body.flag("all"), any = is_any(wanted.selection);
  const json* ids = body.find("ids");
  if (ids != nullptr && (!ids->is_array() || ids->empty() || ids->size() > kMostIds)) {
    body.fail("ids must be a list of 1 to " + std::to_string(kMostIds) + "; a filter takes any number");
  }
  if (ids != nullptr && (all || !any)) body.fail("ids and filters exclude each other");
  if (ids == nullptr && any && !all) body.fail("name deliveries, give a filter, or say that all are meant");
  if (Status s = body.end(); !s) return s;

  Named named;
  if (ids != nullptr) {
    Status s = kind == JobKind::kRerun ? name_events(*ids, named) : name_deliveries(*ids, kind == JobKind::kReplay, named);
    if (!s) return s;
    if (named.deliveries.empty()) return json{{"job", nullptr}, {"refused", std::move(named.refused)}};
    wanted.deliveries = std::move(named.deliveries);
  }
  auto job = sources_.upkeep.add_job(wanted);
  if (!job) return job.status();
  log::info("a job begins", {{"job", job->id}, {"kind", store::to_text(kind)}});
  sources_.on_job();
  return json{{"job", to_json(*job)}, {"refused", std::move(named.refused)}};
}

std::string UpkeepApi::why_not(const store::DeliveryRow& row, bool for_replay) const {
  std::string number = "delivery " + std::to_string(row.seq);
  if (row.state != "dead" && row.state != "done") return number + " is queued or running; it can be replayed when it is settled";
  if (!for_replay || sources_.target.has_subscriber(row.plugin, row.subscriber)) return "";
  return number + " is for " + row.plugin + "/" + row.subscriber + ", which the configuration no longer has";
}

Status UpkeepApi::name_deliveries(const json& ids, bool for_replay, Named& named) const {
  for (const json& id : ids) {
    store::DeliveryFilter filter;
    filter.seq = id.is_number_integer() ? id.get<int64_t>() : -1;
    auto rows = sources_.store.deliveries(filter);
    if (!rows) return rows.status();
    if (rows->empty()) {
      named.refuse(id, "no delivery has this number");
    } else if (std::string why = why_not(rows->front(), for_replay); !why.empty()) {
      named.refuse(id, why);
    } else if (rows->front().state == "done") {
      named.refuse(id, "delivery " + std::to_string(*filter.seq) + " is done, not dead; `postern events replay " +
                           rows->front().event_id + "` runs it again");
    } else {
      named.deliveries.push_back(*filter.seq);
    }
  }
  return Status::ok();
}

Status UpkeepApi::name_events(const json& ids, Named& named) const {
  for (const json& id : ids) {
    store::EventFilter filter;
    filter.seq = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (id.is_string()) filter.seq = seq_of_event_id(id.get_ref<const std::string&>()).value_or(-1);
    auto events = sources_.store.events(filter);
    if (!events) return events.status();
    bool known = !events->empty() && (!id.is_string() || events->front().id == id.get_ref<const std::string&>());
    if (!known) {
      named.refuse(id, "no event has this id");
    } else if (Status s = add_deliveries_of(id, events->front(), named); !s) {
      return s;
    }
  }
  return Status::ok();
}

Status UpkeepApi::add_deliveries_of(const json& id, const store::EventRow& event, Named& named) const {
  store::DeliveryFilter filter;
  filter.event = event.seq;
  filter.limit = kDeliveriesOfOne;
  auto rows = sources_.store.deliveries(filter);
  if (!rows) return rows.status();
  if (rows->empty()) named.refuse(id, "nobody handles this event");
  for (const store::DeliveryRow& row : *rows) {
    std::string why = why_not(row, true);
    why.empty() ? named.deliveries.push_back(row.seq) : named.refuse(id, why);
  }
  return Status::ok();
}

Result<json> UpkeepApi::prune(std::string_view text) const {
  constexpr int64_t kMostMs = 100LL * 366 * 24 * 3600 * 1000;
  BodyReader body(text);
  int64_t older_than = body.whole("older_than", -1, 0, kMostMs);
  bool dead = body.flag("dead"), dry_run = body.flag("dry_run");
  store::Scan scan;
  scan.after = body.whole("after", 0, 0, INT64_MAX);
  const store::Retention::Policy retention = sources_.retention();
  if (older_than < 0 && retention.age.count() == 0) {
    body.fail("store.retention.age is none, so the age must be given: --older-than 30d");
  }
  if (Status s = body.end(); !s) return s;
  store::NewJob wanted;
  wanted.kind = JobKind::kPrune;
  wanted.cutoff = store::Retention::cutoff(retention, wall_ms());
  if (older_than >= 0) wanted.cutoff = {wall_ms() - older_than, 0};
  if (dead) wanted.cutoff.dead_until = wanted.cutoff.until;
  if (dry_run) {
    scan.limit = kMostRows;
    scan.time = kLookFor;
    auto found = sources_.upkeep.prunable(wanted.cutoff, scan);
    if (!found) return found.status();
    return json{{"events", found->events.size()}, {"next", or_null(found->next)}};
  }
  auto job = sources_.upkeep.add_job(wanted);
  if (!job) return job.status();
  log::info("a job begins", {{"job", job->id}, {"kind", store::to_text(wanted.kind)}});
  sources_.on_job();
  return json{{"job", to_json(*job)}};
}

Result<json> UpkeepApi::jobs(bool running_only) const {
  auto jobs = sources_.upkeep.jobs(running_only);
  if (!jobs) return jobs.status();
  json list = json::array();
  for (const store::Job& job : *jobs) list.push_back(to_json(job));
  return list;
}

Result<json> UpkeepApi::job(std::string_view id) const {
  auto number = number_in(id);
  return number ? shown(sources_.upkeep.job(*number)) : unknown_job();
}

Result<json> UpkeepApi::cancel(std::string_view id) const {
  auto number = number_in(id);
  if (!number) return unknown_job();
  auto job = shown(sources_.upkeep.cancel_job(*number));
  if (job) sources_.on_job();
  return job;
}

}  // namespace postern::admin
