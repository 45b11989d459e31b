// postern dead list|show|replay|drop
#include <nlohmann/json.hpp>

#include <memory>

#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/event_output.h"
#include "core/cli/job.h"
#include "core/cli/output.h"
#include "core/cli/selection.h"

namespace postern::cli {
namespace {

using nlohmann::json;

constexpr JobWords kReplayWords{"replay", "queued again", "dead delivery", "dead deliveries"};
constexpr JobWords kDropWords{"drop", "dropped", "dead delivery", "dead deliveries"};

struct DeadListOptions {
  SelectionOptions selection;
  size_t limit = 50;
  std::string id;
};

// Page by page: where few match, a page may end before it is full.
bool find_dead(const Options& options, const DeadListOptions& wanted, json body, json& list, int& status) {
  body["newest_first"] = true;
  while (list.size() < wanted.limit) {
    json page;
    body["limit"] = wanted.limit - list.size();
    if (!tell(options.config_file, "/admin/v1/dead/find", body, page, status)) return false;
    for (json& row : page["deliveries"]) list.push_back(std::move(row));
    if (page["next"].is_null()) break;
    body["after"] = page["next"];
  }
  return true;
}

int list_dead(const Options& options, const DeadListOptions& wanted) {
  json list = json::array(), body = json::object();
  int status = kDone;
  if (Status s = to_body(wanted.selection, body); !s) return complain("postern: " + s.message()), kUsage;
  if (!find_dead(options, wanted, std::move(body), list, status)) return status;
  if (options.json) return print_json(list), kDone;
  if (list.empty()) return print("no dead deliveries"), kDone;
  Table table({"DELIVERY", "EVENT", "DIED", "TYPE", "SUBSCRIBER", "ATTEMPTS", "ERROR"});
  for (const json& d : list) {
    table.add({d["seq"].dump(), text_of(d["event_id"]), time_of(d["settled_at"]), text_of(d["type"]),
               text_of(d["plugin"]) + "/" + text_of(d["subscriber"]), d["attempts"].dump(), text_of(d["last_error"])});
  }
  table.print();
  return kDone;
}

int show_dead(const Options& options, const DeadListOptions& wanted) {
  json delivery;
  int status = kDone;
  if (!ask(options.config_file, "/admin/v1/dead/" + encode(wanted.id), delivery, status)) return status;
  if (options.json) return print_json(delivery), kDone;
  print(paint("delivery " + delivery["seq"].dump(), Colour::kBold) + "  died " + time_of(delivery["settled_at"]));
  print_deliveries(json::array({delivery}));
  if (delivery.contains("of")) print_event(delivery["of"]);
  return kDone;
}

// replay or drop
CLI::App* add_action(CLI::App& dead, const Options& options, int& status, const std::string& name, const std::string& what,
                     const JobWords& words) {
  auto wanted = std::make_shared<JobOptions>();
  auto* action = dead.add_subcommand(name, what);
  action->add_option("DELIVERY", wanted->ids, "Numbers from `dead list`, as many as you like");
  add_selection(*action, wanted->selection, "died");
  add_job_options(*action, *wanted, true);
  action->callback([&options, &status, wanted, name, words] { status = run_job(options, *wanted, "/admin/v1/dead", name, words); });
  return action;
}

}  // namespace

void add_dead(CLI::App& app, const Options& options, int& status) {
  auto wanted = std::make_shared<DeadListOptions>();
  auto* dead = app.add_subcommand("dead", "Look at deliveries that were given up, replay or drop them");
  dead->require_subcommand(1);
  auto* list = dead->add_subcommand("list", "The newest first");
  list->add_option("--limit", wanted->limit, "How many")->check(CLI::Range(1, 10000))->capture_default_str();
  add_selection(*list, wanted->selection, "died");
  list->footer("Example:\n  postern dead list --plugin myprovider --since 2h --error timeout");
  list->callback([&options, &status, wanted] { status = list_dead(options, *wanted); });
  auto* show = dead->add_subcommand("show", "One dead delivery with its attempts and its event");
  show->add_option("DELIVERY", wanted->id, "Its number, from `dead list`")->required();
  show->footer("Example:\n  postern dead show 4711");
  show->callback([&options, &status, wanted] { status = show_dead(options, *wanted); });
  add_action(*dead, options, status, "replay", "Queue them again, with the exact bytes", kReplayWords)
      ->footer("Example:\n  postern dead replay 4711\n  postern dead replay --plugin myprovider --error timeout --dry-run");
  add_action(*dead, options, status, "drop", "Give them up for good; their events stay until retention removes them", kDropWords)
      ->footer("What was dropped can still be run again: `postern events replay`.\nExample:\n  postern dead drop --type 'acme.test.*'");
}

}  // namespace postern::cli
