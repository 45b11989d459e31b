// plugins: — which plugins are loaded, their own configuration, and what the operator sets on their routes, events and upstreams.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "core/config/addresses.h"
#include "core/config/json.h"
#include "core/config/sections.h"
#include "core/config/values.h"

namespace postern::config {

namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxName = 32;
constexpr size_t kMaxRoutePath = 1024;
constexpr size_t kMaxType = 256;
constexpr std::string_view kGateway = "postern";  // the provider of the gateway's own events

bool is_name(std::string_view name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto ok = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= kMaxName && letter(name[0]) && std::all_of(name.begin(), name.end(), ok);
}

void read_name(Section& entry, const Config& config, Plugin& plugin) {
  const Member* name = entry.require("name");
  if (!name || !entry.text("name", plugin.name)) return;
  plugin.mark = name->value->mark;
  if (!is_name(plugin.name)) {
    plugin.name.clear();  // a reference may stand for a secret that was put here by mistake; other faults list the names
    entry.fault(name->value->mark, "name",
                fmt::format("{} is not a plugin's name; it is a lower-case letter, then at most {} of a-z, 0-9 and _",
                            quote(name->value->text), kMaxName - 1));
    return;
  }
  if (plugin.name == kGateway)
    entry.fault(name->value->mark, "name", quote(plugin.name) + " is the gateway's own name; give the plugin another");
  for (const Plugin& other : config.plugins)
    if (other.name == plugin.name)
      entry.fault(name->value->mark, "name",
                  fmt::format("plugin {} is named twice; first in line {}", quote(name->value->text), other.mark.line));
}

void read_reject_status(Section& section, RouteOverride& route) {
  const Member* member = section.find("reject_status");
  if (!member) return;
  const std::optional<uint64_t> status =
      read_value(section.context(), *member->value, section.path("reject_status"), parse_count, As::kTyped);
  if (!status) return;
  if (*status != 400 && *status != 401 && *status != 403) {
    section.fault(member->value->mark, "reject_status", quote(member->value->text) + " is not 400, 401 or 403");
    return;
  }
  route.reject_status = static_cast<int>(*status);
}

RouteOverride read_route(Section& section, const Member& member) {
  RouteOverride route;
  route.path = member.key;
  route.mark = member.mark;
  std::chrono::milliseconds wait{0};
  if (section.duration("wait", wait, {0ms, 1h})) route.wait = wait;
  std::chrono::milliseconds deadline{0};
  if (section.duration("deadline", deadline, {100ms, 1h})) route.deadline = deadline;
  section.rate("rate", route.rate);
  section.rate("rate_per_client", route.rate_per_client);
  section.ranges("allow", route.allow);
  uint64_t max_body = 0;
  if (section.size("max_body", max_body, {1, kMaxBody})) route.max_body = max_body;
  read_reject_status(section, route);
  bool ordered = false;
  if (section.flag("ordered", ordered)) route.ordered = ordered;
  milliseconds window{0};
  section.section("dedupe", [&](Section& dedupe) {
    if (read_dedupe(dedupe, window)) route.dedupe_window = window;
  });
  return route;
}

// A mapping whose keys are the plugin's (paths, types, names): what is an unknown one, the file alone cannot tell.
void read_mapping(Section& entry, const char* key, const char* shape, const std::function<void(Section&, const Member&)>& read) {
  const Member* mapping = entry.find(key);
  if (!mapping || mapping->value->kind == Kind::kNull) return;
  const std::string what = entry.path(key);
  if (mapping->value->kind != Kind::kMapping) {
    entry.fault(mapping->value->mark, key, fmt::format("must be a mapping ({}), not {}", shape, describe(mapping->value->kind)));
    return;
  }
  for (const Member& member : mapping->value->members) {
    Section section(entry.context(), *member.value, member.mark, fmt::format("{}[{}]", what, quote(member.key)));
    read(section, member);
  }
}

void read_routes(Section& entry, Plugin& plugin) {
  read_mapping(entry, "routes", "path: settings", [&](Section& section, const Member& member) {
    if (!member.key.starts_with('/') || member.key.size() > kMaxRoutePath)
      entry.fault(member.mark, "routes", quote(member.key) + " is not a route's path; it begins with /");
    plugin.routes.push_back(read_route(section, member));
  });
}

void read_events(Section& entry, Plugin& plugin) {
  read_mapping(entry, "events", "type: settings", [&](Section& section, const Member& member) {
    if (member.key.empty() || member.key.size() > kMaxType)
      entry.fault(member.mark, "events", quote(member.key) + " is not an event's type, where * stands for anything");
    EventOverride event{member.key, member.mark, {}};
    bool critical = false;
    if (section.flag("critical", critical)) event.critical = critical;
    plugin.events.push_back(std::move(event));
  });
}

void read_upstreams(Section& entry, Plugin& plugin) {
  read_mapping(entry, "upstreams", "name: settings", [&](Section& section, const Member& member) {
    plugin.upstreams.push_back(read_upstream(section, member));
  });
}

void read_plugin(Section& entry, Config& config) {
  Plugin plugin;
  plugin.mark = entry.place();
  plugin.policies = config.policies;
  plugin.quarantine = config.quarantine;
  read_name(entry, config, plugin);
  if (entry.require("library")) entry.text("library", plugin.library);
  plugin.config_json = "{}";
  plugin.config_marks[""] = entry.place();
  if (const Member* own = entry.find("config")) {
    plugin.config_json = mapping_to_json(entry.context(), *own->value, entry.path("config"), &plugin.config_marks);
    plugin.config_marks[""] = own->mark;
  }
  read_policies(entry, plugin.policies);
  read_quarantine(entry, plugin.quarantine);
  read_routes(entry, plugin);
  read_events(entry, plugin);
  read_upstreams(entry, plugin);
  config.plugins.push_back(std::move(plugin));
}

}  // namespace

void read_plugins(Section& root, Config& config) {
  root.list("plugins", [&](const Node& node, const std::string& what) {
    const size_t faults_before = root.context().faults.size();
    {
      Section entry(root.context(), node, node.mark, what);  // its end tells of unknown keys
      read_plugin(entry, config);
    }
    config.plugins.back().at_fault = root.context().faults.size() > faults_before;
  });
}

}  // namespace postern::config
