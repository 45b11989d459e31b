#include "core/plugin/service_directory.h"

#include <utility>
#include <vector>

#include "core/config/suggest.h"

namespace postern::plugin {

Status ServiceDirectory::add(std::shared_ptr<Service> service) {
  auto [found, added] = services_.try_emplace(service->name(), service);
  if (added) return Status::ok();
  return {Code::kInvalid, "plugin " + service->plugin() + ": the service " + service->name() + " is published by plugin " +
                              found->second->plugin() + " already; only one of them can be in a configuration"};
}

std::shared_ptr<Service> ServiceDirectory::find(std::string_view name) const {
  auto found = services_.find(name);
  return found == services_.end() ? nullptr : found->second;
}

std::string ServiceDirectory::explain_missing(const std::string& name) const {
  if (services_.empty()) return "the service " + name + ", and no plugin publishes any; add the plugin that does to `plugins:`";
  std::vector<std::string> known;
  std::string all;
  for (const auto& [other, service] : services_) {
    known.push_back(other);
    all.append(all.empty() ? "" : ", ").append(other).append(" (plugin ").append(service->plugin()).append(")");
  }
  std::string near = config::suggest(name, known);
  if (!near.starts_with("; did you mean")) near = "; add the plugin that does to `plugins:`";
  return "the service " + name + ", which no plugin publishes" + near + "; there are: " + all;
}

}  // namespace postern::plugin
