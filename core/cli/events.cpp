// postern events list|show|replay|prune
#include <nlohmann/json.hpp>

#include <memory>

#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/event_output.h"
#include "core/cli/job.h"
#include "core/cli/output.h"
#include "core/config/values.h"

namespace postern::cli {
namespace {

using nlohmann::json;

struct EventListOptions {
  size_t limit = 50;
  std::string type;
  std::string id;
};

int list_events(const Options& options, const EventListOptions& wanted) {
  json list;
  int status = kDone;
  std::string path = "/admin/v1/events?limit=" + std::to_string(wanted.limit) + "&type=" + encode(wanted.type);
  if (!ask(options.config_file, path, list, status)) return status;
  if (options.json) return print_json(list), kDone;
  Table table({"EVENT", "RECEIVED", "TYPE", "STATE", "THEIR ID"});
  table.colour_states(3);
  for (const json& e : list) {
    table.add({text_of(e["event_id"]), time_of(e["received_at"]), text_of(e["type"]), text_of(e["state"]), text_of(e["external_id"])});
  }
  table.print();
  return kDone;
}

int show_event(const Options& options, const EventListOptions& wanted) {
  json event;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/events/" + encode(wanted.id), event, status)) return status;
  options.json ? print_json(event) : print_event(event);
  return kDone;
}

constexpr JobWords kRerunWords{"run again", "queued again", "settled delivery", "settled deliveries"};
constexpr JobWords kPruneWords{"remove", "removed", "event", "events"};

struct PruneOptions {
  std::string older_than;
  bool dead = false, dry_run = false, yes = false, detach = false;
};

bool count_prunable(const Options& options, json body, uint64_t& count, int& status) {
  body["dry_run"] = true;
  for (json page; tell(options.config_file, "/admin/v1/events/prune", body, page, status); body["after"] = page["next"]) {
    count += page["events"].get<uint64_t>();
    if (page["next"].is_null()) return true;
  }
  return false;
}

int prune(const Options& options, const PruneOptions& wanted) {
  json body = {{"dead", wanted.dead}};
  if (!wanted.older_than.empty()) {
    auto age = config::parse_duration(wanted.older_than);
    if (!age) return complain("postern: --older-than: '" + wanted.older_than + "' " + age.status().message()), kUsage;
    body["older_than"] = age->count();
  }
  int status = kDone;
  uint64_t count = 0;
  if (!count_prunable(options, body, count, status)) return status;
  if (wanted.dry_run) {
    std::string would = "would remove " + std::to_string(count) + (count == 1 ? " event" : " events") + "; nothing was changed";
    options.json ? print_json({{"dry_run", true}, {"matched", count}}) : print(would);
    return kDone;
  }
  if (count == 0) return options.json ? print_json({{"matched", 0}}) : print("no event is old enough and settled"), kDone;
  if (!confirmed("remove " + std::to_string(count) + " events for good?", wanted.yes)) return kNotSo;
  json answer;
  if (!tell(options.config_file, "/admin/v1/events/prune", body, answer, status)) return status;
  if (!wanted.detach) return follow_job(options, answer["job"], kPruneWords);
  options.json ? print_json(answer["job"]) : print("job " + answer["job"]["id"].dump() + " runs in the gateway");
  return kDone;
}

void add_replay(CLI::App& events, const Options& options, int& status) {
  auto wanted = std::make_shared<JobOptions>();
  auto* replay = events.add_subcommand("replay", "Run settled deliveries again, done or dead, with the exact bytes");
  replay->add_option("ID", wanted->ids, "evt_…, as many as you like");
  add_selection(*replay, wanted->selection, "came");
  add_job_options(*replay, *wanted, true);
  replay->footer("What a handler has done already it does once more: records, emitted events, calls to the outside.\n"
                 "Example:\n  postern events replay evt_01hf…\n  postern events replay --type 'acme.call.*' --since 2h --dry-run");
  replay->callback([&options, &status, wanted] { status = run_job(options, *wanted, "/admin/v1/events", "replay", kRerunWords); });
}

void add_prune(CLI::App& events, const Options& options, int& status) {
  auto wanted = std::make_shared<PruneOptions>();
  auto* prune_now = events.add_subcommand("prune", "Remove old events whose deliveries are all settled, now");
  prune_now->add_option("--older-than", wanted->older_than, "Such as 7d; default: store.retention.age of the configuration");
  prune_now->add_flag("--dead", wanted->dead, "Also those of which a delivery is dead, if it died before that too");
  prune_now->add_flag("--dry-run", wanted->dry_run, "Only count");
  prune_now->add_flag("-y,--yes", wanted->yes, "Do not ask");
  prune_now->add_flag("--detach", wanted->detach, "Do not wait for the end");
  prune_now->footer("An event stays while it is the only place that remembers its deduplication key.\n"
                    "Example:\n  postern events prune --older-than 7d --dry-run");
  prune_now->callback([&options, &status, wanted] { status = prune(options, *wanted); });
}

}  // namespace

void add_events(CLI::App& app, const Options& options, int& status) {
  auto wanted = std::make_shared<EventListOptions>();
  auto* events = app.add_subcommand("events", "Look at stored events, run them again, remove old ones");
  events->require_subcommand(1);
  auto* list = events->add_subcommand("list", "The newest events first");
  list->add_option("--limit", wanted->limit, "How many")->check(CLI::Range(1, 10000))->capture_default_str();
  list->add_option("--type", wanted->type, "Only these types; * stands for any text");
  list->footer("Example:\n  postern events list --type '*.message.*' --limit 10");
  list->callback([&options, &status, wanted] { status = list_events(options, *wanted); });
  auto* show = events->add_subcommand("show", "One event with its request, deliveries and failed attempts");
  show->add_option("ID", wanted->id, "evt_…")->required();
  show->footer("Example:\n  postern events show evt_01hf… --json");
  show->callback([&options, &status, wanted] { status = show_event(options, *wanted); });
  add_replay(*events, options, status);
  add_prune(*events, options, status);
}

}  // namespace postern::cli
