// subscriptions: — which plugin is given which events of others.
#include <fmt/format.h>

#include <algorithm>

#include "core/config/json.h"
#include "core/config/sections.h"
#include "core/config/suggest.h"

namespace postern::config {

namespace {

constexpr size_t kMaxText = 256;

// They end up in the store, in logs and as labels, so neither is long nor hides anything.
bool read_word(Section& entry, std::string_view key, std::string& out) {
  const Member* member = entry.find(key);
  if (!member || !entry.text(key, out)) return false;
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F; };
  if (out.size() <= kMaxText && std::all_of(out.begin(), out.end(), visible)) return true;
  entry.fault(member->value->mark, key, fmt::format("must be at most {} visible ASCII characters", kMaxText));
  return false;
}

Policies read_plugin_of(Section& entry, const Config& config, Subscription& subscription) {
  const Member* member = entry.require("plugin");
  if (!member || !entry.text("plugin", subscription.plugin)) return config.policies;
  std::vector<std::string> names;
  for (const Plugin& plugin : config.plugins) {
    if (plugin.name == subscription.plugin) return plugin.policies;
    if (!plugin.name.empty()) names.push_back(plugin.name);
  }
  const std::string& written = member->value->text;
  entry.fault(member->value->mark, "plugin", "no plugin is named " + quote(written) + suggest(written, names));
  return config.policies;
}

void check_name(Section& entry, const Config& config, const Subscription& subscription) {
  const Member* given = entry.find("name");
  if (subscription.plugin.empty() || subscription.name.empty()) return;
  for (const Subscription& other : config.subscriptions) {
    if (other.plugin != subscription.plugin || other.name != subscription.name) continue;
    const std::string first = fmt::format("first in line {}", other.mark.line);
    if (given) {
      entry.fault(given->value->mark, "name",
                  fmt::format("this plugin has a subscription named {} already; {}", quote(given->value->text), first));
    } else {
      entry.fault(subscription.mark, "on",
                  fmt::format("this plugin has such a subscription already ({}); give one of them a name", first));
    }
    return;
  }
}

void read_subscription(Section& entry, Config& config) {
  Subscription subscription;
  subscription.mark = entry.place();
  if (const Member* on = entry.require("on")) {
    subscription.mark = on->value->mark;
    read_word(entry, "on", subscription.on);
  }
  read_conditions(entry, subscription.when);
  subscription.policies = read_plugin_of(entry, config, subscription);
  subscription.with_json = "{}";
  subscription.with_marks[""] = subscription.mark;
  if (const Member* with = entry.find("with")) {
    subscription.with_json = mapping_to_json(entry.context(), *with->value, entry.path("with"), &subscription.with_marks);
    subscription.with_marks[""] = with->mark;
  }
  subscription.name = subscription.on;
  read_word(entry, "name", subscription.name);
  read_policies(entry, subscription.policies);
  check_name(entry, config, subscription);
  config.subscriptions.push_back(std::move(subscription));
}

}  // namespace

void read_subscriptions(Section& root, Config& config) {
  root.list("subscriptions", [&](const Node& node, const std::string& what) {
    Section entry(root.context(), node, node.mark, what);
    read_subscription(entry, config);
  });
}

}  // namespace postern::config
