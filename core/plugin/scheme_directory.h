// SchemeDirectory: which plugin registers which signature scheme, in one configuration, so that a route of another plugin can name it:
// "PLUGIN:SCHEME". It is made when all plugins have been initialised; their order does not matter.
// Thread-safety: the control thread; const afterwards.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/signature/scheme.h"

namespace postern::plugin {

class SchemeDirectory {
 public:
  // A plugin's schemes have different names.
  void add(const std::string& plugin, std::shared_ptr<const signature::Scheme> scheme);

  // Null where nobody registers it.
  std::shared_ptr<const signature::Scheme> find(std::string_view full_name) const;

  // Why there is no such scheme, and what there is instead: "the scheme a:b, which …".
  std::string explain_missing(const std::string& full_name) const;

 private:
  std::map<std::string, std::shared_ptr<const signature::Scheme>, std::less<>> schemes_;  // by full name
};

}  // namespace postern::plugin
