// postern status
#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/output.h"

namespace postern::cli {
namespace {

using nlohmann::json;

void print_timers(const json& timers) {
  for (const json& t : timers) {
    std::string line = "timers of plugin " + printable(t["plugin"].get<std::string>()) + ": " + t["waiting"].dump() + " durable, " +
                       t["in_memory"].dump() + " in memory";
    bool configured = t["configured"];
    print("  " + (configured ? line : paint(line + "; they wait until the configuration has it again", Colour::kYellow)));
  }
}

// When an open breaker lets the next one through.
std::string trial_of(const json& at) {
  if (at.is_null()) return "-";
  return at.get<int64_t>() > wall_ms() ? local_time(at) : "with the next";
}

void print_reload(const json& reload) {
  if (reload["error"].is_string()) {
    print("  " + paint("reload " + reload["number"].dump() + " of " + local_time(reload["at"]) + " was refused; generation " +
                           reload["generation"].dump() + " goes on:", Colour::kRed));
    print(reload["error"].get<std::string>());
  }
  for (const json& setting : reload["needs_restart"]) {
    print("  " + paint(setting.get<std::string>() + " has changed: it is used from the next start on", Colour::kYellow));
  }
  size_t ending = reload["generations"].size() - 1;
  if (ending > 0) print("  " + std::to_string(ending) + " generations before have something under way");
}

void print_crashes(const json& crashes) {
  for (const json& c : crashes) {
    std::string line = "plugin " + printable(c["plugin"].get<std::string>()) + " has ended the gateway " + c["all_crashes"].dump() +
                       " times, last at " + local_time(c["last_crash_at"]) + ": " + printable(c["last_crash"].get<std::string>());
    bool held = !c["quarantined_until"].is_null();
    if (held) line += "; it is not called until " + local_time(c["quarantined_until"]);
    print("  " + paint(line, held ? Colour::kRed : Colour::kYellow));
  }
}

void print_status(const json& s) {
  bool accepting = s["accepting"];
  print(paint(accepting ? "accepting" : "not accepting: " + s["reason"].get<std::string>(), accepting ? Colour::kGreen : Colour::kRed) +
        "  version " + s["version"].get<std::string>() + ", pid " + s["pid"].dump() + ", since " + local_time(s["started_at"]) +
        ", generation " + s["reload"]["generation"].dump());
  std::string listen;
  for (const json& address : s["listen"]) listen += (listen.empty() ? "" : ", ") + address.get<std::string>();
  print("  listening    " + listen + " (" + s["connections"].dump() + " connections)");
  const json& store = s["store"];
  print("  since start  " + store["events"].dump() + " events, " + store["duplicates"].dump() + " duplicates, " +
        store["settled"].dump() + " deliveries settled");
  print("  now          " + store["queued"].dump() + " queued, " + store["dead"].dump() + " dead, " + s["dispatch"]["running"].dump() +
        " running");
  std::string sessions;
  const json open = s.value("sessions", json::object());
  for (const auto& [plugin, count] : open.items()) sessions += (sessions.empty() ? "" : ", ") + plugin + " " + count.dump();
  if (!sessions.empty()) print("  sessions     " + sessions);
  if (s["dispatch"]["orphans"].get<uint64_t>() > 0) {
    print("  " +
          paint(s["dispatch"]["orphans"].dump() + " deliveries wait for plugins that the configuration no longer has", Colour::kYellow));
  }
  for (const json& calls : s["call_threads"]) {
    if (calls["stuck"] == 0) continue;
    print("  " + paint(calls["stuck"].dump() + " threads are stuck in " + calls["purpose"].get<std::string>() + " calls of plugin " +
                           calls["plugin"].get<std::string>() + "; restart the gateway to get them back", Colour::kRed));
  }
  for (const json& job : s.value("jobs", json::array())) {
    std::string id = job["id"].dump();
    std::string far = job["done"].dump() + " of " + (job["total"].is_null() ? "…" : job["total"].dump()) + " done";
    print("  " + paint("job " + id + ": " + job["kind"].get<std::string>() + ", " + far + "; `postern jobs cancel " + id + "` ends it",
                       Colour::kYellow));
  }
  print_reload(s["reload"]);
  print_timers(s.value("timers", json::array()));
  print_crashes(s.value("crashes", json::array()));
  Table table({"PLUGIN", "SUBSCRIBER", "DONE", "RETRIED", "POSTPONED", "DEAD", "BREAKER", "TRIAL", "LAST ERROR"});
  table.colour_states(6);
  for (const json& sub : s["dispatch"]["subscribers"]) {
    table.add({sub["plugin"], sub["subscriber"], sub["done"].dump(), sub["retried"].dump(), sub["postponed"].dump(), sub["dead"].dump(),
               sub["breaker"], trial_of(sub["next_trial_at"]),
               sub["last_error"].is_null() ? "-" : printable(sub["last_error"].get<std::string>())});
  }
  table.print();
}

// Those whom plugins call.
void print_upstreams(const json& upstreams) {
  if (upstreams.empty()) return;
  Table table({"PLUGIN", "UPSTREAM", "REQUESTS", "OK", "RETRIES", "IN FLIGHT", "WAITING", "BREAKER", "TRIAL", "FAILURES", "LAST ERROR"});
  table.colour_states(7);
  for (const json& u : upstreams) {
    table.add({u["plugin"], u["upstream"], u["requests"].dump(), u["ended"]["ok"].dump(), u["retries"].dump(), u["in_flight"].dump(),
               u["waiting"].dump(), u["breaker"], trial_of(u["next_trial_at"]), u["failures"].dump(),
               u["last_error"].is_null() ? "-" : printable(u["last_error"].get<std::string>())});
  }
  print("");
  table.print();
}

}  // namespace

void add_status(CLI::App& app, const Options& options, int& status) {
  auto* command = app.add_subcommand("status", "What the running gateway does");
  command->footer("Example:\n  postern status --json | jq .store");
  command->callback([&] {
    json answer;
    if (!ask(options.config_file, "/admin/v1/status", answer, status)) return;
    if (options.json) return print_json(answer);
    print_status(answer);
    print_upstreams(answer["upstreams"]);
  });
}

}  // namespace postern::cli
