#include "core/plugin/scheme_directory.h"

#include <utility>
#include <vector>

#include "core/config/faults.h"
#include "core/config/suggest.h"

namespace postern::plugin {

void SchemeDirectory::add(const std::string& plugin, std::shared_ptr<const signature::Scheme> scheme) {
  std::string full_name = plugin + ":" + scheme->name();
  schemes_[std::move(full_name)] = std::move(scheme);
}

std::shared_ptr<const signature::Scheme> SchemeDirectory::find(std::string_view full_name) const {
  auto found = schemes_.find(full_name);
  return found == schemes_.end() ? nullptr : found->second;
}

std::string SchemeDirectory::explain_missing(const std::string& full_name) const {
  const std::string wanted = "the scheme " + config::quote(full_name) + ", which no plugin registers";
  const std::string whose = "add the plugin that does to `plugins:`, by the name " + config::quote(full_name.substr(0, full_name.find(':')));
  if (schemes_.empty()) return wanted + ", nor any other; " + whose;
  std::vector<std::string> known;
  std::string all;
  for (const auto& [other, scheme] : schemes_) {
    known.push_back(other);
    all.append(all.empty() ? "" : ", ").append(other);
  }
  std::string near = config::suggest(full_name, known);
  if (!near.starts_with("; did you mean")) near = "; " + whose;
  return wanted + near + "; there are: " + all;
}

}  // namespace postern::plugin
