// ServiceDirectory: who publishes what, in one configuration. It is made when all plugins have been initialised, so that their order does
// not matter and services may need one another.
// Thread-safety: the control thread; const afterwards.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/plugin/service.h"

namespace postern::plugin {

class ServiceDirectory {
 public:
  // kInvalid when another plugin publishes that name already: both are named.
  Status add(std::shared_ptr<Service> service);

  // Null where nobody publishes it.
  std::shared_ptr<Service> find(std::string_view name) const;

  // Why there is no `name`, and what there is instead.
  std::string explain_missing(const std::string& name) const;

 private:
  std::map<std::string, std::shared_ptr<Service>, std::less<>> services_;
};

}  // namespace postern::plugin
