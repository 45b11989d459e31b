#include "core/ingest/target_table.h"

#include <algorithm>

#include "core/ingest/glob.h"

namespace postern::ingest {

void TargetTable::add_handlers(const std::string& plugin, const std::string& name, std::vector<std::string> globs) {
  for (const std::string& glob : globs) types_.add(plugin, glob);
  rules_.push_back({{plugin, name}, std::move(globs), true, {}});
}

void TargetTable::add_subscription(const std::string& plugin, const std::string& name, const std::string& glob, Filter when) {
  types_.add_subscription(glob);
  rules_.push_back({{plugin, name}, {glob}, false, std::move(when)});
}

bool TargetTable::matches(const Rule& rule, const std::string& provider, const std::string& type) const {
  if (rule.own && rule.target.plugin != provider) return false;
  return std::any_of(rule.globs.begin(), rule.globs.end(), [&](const std::string& glob) {
    return rule.own ? matches_type(glob, provider, type) : matches_glob(glob, type);
  });
}

Targets TargetTable::match(const NewEvent& event) const {
  std::vector<size_t> matched;
  Content content(event);
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (matches(rules_[i], event.provider, event.type) && rules_[i].when.passes(content)) matched.push_back(i);
  }
  MutexLock lock(mutex_);
  Targets& shared = shared_[matched];
  if (!shared) {
    auto targets = std::make_shared<std::vector<Target>>();
    for (size_t i : matched) targets->push_back(rules_[i].target);
    shared = std::move(targets);
  }
  return shared;
}

}  // namespace postern::ingest
