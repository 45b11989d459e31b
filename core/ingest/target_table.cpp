#include "core/ingest/target_table.h"

#include <algorithm>

namespace postern::ingest {

// Greedy with one point to go back to: linear but for the last star, so a glob cannot be made to explode.
bool matches_glob(std::string_view glob, std::string_view text) {
  size_t g = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_text = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

bool matches_type(std::string_view glob, std::string_view provider, std::string_view type) {
  if (matches_glob(glob, type)) return true;
  bool prefixed = type.size() > provider.size() && type.starts_with(provider) && type[provider.size()] == '.';
  return prefixed && matches_glob(glob, type.substr(provider.size() + 1));
}

void TargetTable::add_handlers(const std::string& plugin, const std::string& name, std::vector<std::string> globs) {
  for (const std::string& glob : globs) types_.add(plugin, glob);
  rules_.push_back({{plugin, name}, std::move(globs), true});
}

void TargetTable::add_subscription(const std::string& plugin, const std::string& name, const std::string& glob) {
  types_.add_subscription(glob);
  rules_.push_back({{plugin, name}, {glob}, false});
}

bool TargetTable::matches(const Rule& rule, const std::string& provider, const std::string& type) const {
  if (rule.own && rule.target.plugin != provider) return false;
  return std::any_of(rule.globs.begin(), rule.globs.end(), [&](const std::string& glob) {
    return rule.own ? matches_type(glob, provider, type) : matches_glob(glob, type);
  });
}

Targets TargetTable::match(const std::string& provider, const std::string& type) const {
  std::vector<size_t> matched;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (matches(rules_[i], provider, type)) matched.push_back(i);
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
