// postern plugins (release: release.cpp), postern routes: of the running gateway; where none runs, of the configuration.
#include <nlohmann/json.hpp>

#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/gateway/gateway.h"

namespace postern::cli {
namespace {

using nlohmann::json;

std::string joined(const json& list) {
  std::string text;
  for (const json& item : list) text += (text.empty() ? "" : ", ") + item.get<std::string>();
  return text.empty() ? "-" : text;
}

// "mail/1, wants crm/1, wants sms/1 (nobody publishes it)"
std::string services_of(const json& plugin) {
  json list = plugin.value("services", json::array());
  for (const json& wish : plugin.value("wants_services", json::array())) {
    list.push_back("wants " + wish["service"].get<std::string>() + (wish["plugin"].is_null() ? " (nobody publishes it)" : ""));
  }
  return joined(list);
}

// "3", and "2 ending" for one of a configuration before; "-" where no gateway runs.
std::string generation_of(const json& plugin) {
  if (!plugin.contains("generation")) return "-";
  std::string number = plugin["generation"].dump();
  return plugin["state"] == "active" ? number : number + " " + plugin["state"].get<std::string>();
}

bool find(const Options& options, const std::string& path, json (*describe)(const gateway::Assembly&), json& answer) {
  auto config = load_or_tell(options.config_file);
  if (!config) return false;
  auto running = AdminClient(config->admin.socket).get(path);
  if (running) {
    answer = std::move(*running);
    return true;
  }
  auto ready = assemble_or_tell(options.config_file);
  if (!ready) return false;
  complain(paint("no gateway runs; this is what the configuration says", Colour::kNone));
  answer = describe(*ready->assembly);
  return true;
}

int plugins(const Options& options) {
  json list;
  if (!find(options, "/admin/v1/plugins", gateway::describe_plugins, list)) return kNotSo;
  if (options.json) return print_json(list), kDone;
  Table table({"NAME", "VERSION", "GENERATION", "CRASHES", "ROUTES", "SCHEMES", "HANDLERS", "SAMPLES", "SERVICES", "UPSTREAMS"});
  for (const json& p : list) {
    table.add({p["name"], p["version"], generation_of(p), p["crashes"].dump(), p["routes"].dump(), joined(p["schemes"]),
               joined(p["handlers"]), joined(p["samples"]), services_of(p), joined(p["upstreams"])});
  }
  table.print();
  for (const json& p : list) {
    if (p["quarantined_until"].is_null()) continue;
    std::string name = printable(p["name"].get<std::string>());
    print(paint(name + " is not called until " + local_time(p["quarantined_until"]) + ": it has crashed " + p["crashes"].dump() +
                    " times, the last time " + printable(p["last_crash"].get<std::string>()) + "; `postern plugins release " + name +
                    "` takes it back", Colour::kRed));
  }
  return kDone;
}

int routes(const Options& options) {
  json list;
  if (!find(options, "/admin/v1/routes", gateway::describe_routes, list)) return kNotSo;
  if (options.json) return print_json(list), kDone;
  Table table({"METHOD", "PATH", "KIND", "PLUGIN", "SCHEMES"});
  for (const json& r : list) {
    std::string schemes = r["schemes"].empty() ? "unsigned" : joined(r["schemes"]);
    table.add({r["method"], r["path"], r["kind"], r["plugin"], schemes});
  }
  table.print();
  return kDone;
}

}  // namespace

void add_inventory(CLI::App& app, const Options& options, int& status) {
  auto* p = app.add_subcommand("plugins", "List the plugins with their versions, schemes, handlers, samples and services");
  p->require_subcommand(0, 1);
  p->footer("Example:\n  postern plugins --json");
  add_release(*p, options, status);
  p->callback([&options, &status, p] {
    if (p->get_subcommands().empty()) status = plugins(options);
  });
  auto* r = app.add_subcommand("routes", "List the routes with their plugins and signature schemes");
  r->footer("Example:\n  postern routes");
  r->callback([&] { status = routes(options); });
}

}  // namespace postern::cli
