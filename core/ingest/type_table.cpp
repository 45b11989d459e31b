#include "core/ingest/type_table.h"

#include <algorithm>
#include <utility>

#include "core/http/target.h"
#include "core/ingest/glob.h"

namespace postern::ingest {

TypeTable::TypeTable() { declared_.push_back({"other", ""}); }

void TypeTable::continue_from(const TypeTable& before) {
  declared_ = before.declared_;
  exact_ = before.exact_;
}

TypeTable::Id TypeTable::declare(std::string name, std::string_view provider) {
  if (auto known = exact_.find(name); known != exact_.end()) return known->second;
  if (declared_.size() >= kMaxTypes || !http::is_utf8(name)) return kOther;
  Id id = static_cast<Id>(declared_.size());
  declared_.push_back({name, std::string(provider)});
  exact_.emplace(std::move(name), id);  // a glob's own text is found like a type, too: nobody else may be called so
  return id;
}

void TypeTable::add_glob(Glob glob) {
  auto shorter = std::find_if(globs_.begin(), globs_.end(), [&](const Glob& other) { return other.text.size() < glob.text.size(); });
  globs_.insert(shorter, std::move(glob));
}

void TypeTable::add(std::string_view provider, std::string_view glob) {
  std::string prefix = std::string(provider) + ".";
  std::string name = glob.starts_with(prefix) ? std::string(glob) : prefix + std::string(glob);
  add_glob({std::string(provider), std::string(glob), declare(std::move(name), provider)});
}

void TypeTable::add_subscription(std::string_view glob) {
  Id id = declare(std::string(glob), "");
  if (glob.find('*') != std::string_view::npos) add_glob({"", std::string(glob), id});
}

TypeTable::Id TypeTable::match(std::string_view provider, std::string_view type) const {
  if (auto found = exact_.find(type); found != exact_.end()) return found->second;
  for (const Glob& glob : globs_) {
    bool fits = glob.provider.empty() ? matches_glob(glob.text, type)
                                      : glob.provider == provider && matches_type(glob.text, provider, type);
    if (fits) return glob.id;
  }
  return kOther;
}

}  // namespace postern::ingest
