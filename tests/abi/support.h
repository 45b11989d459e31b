// What the tests of this folder share: where the modules are, and how one is made to run as the gateway makes it.
// Thread-safety: one thread.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/config/config.h"
#include "core/extension/table.h"
#include "core/plugin/instance.h"
#include "core/plugin/library.h"
#include "tests/support/places.h"

namespace postern::testing {

inline std::string module_path(const std::string& name) { return built("tests/abi_modules/" + name + ".so"); }

// What loading the file says is wrong, without the path before it; "loaded" when nothing is.
inline std::string load_fault(const std::string& path) {
  auto library = plugin::Library::load(path, extension::has_extension);
  if (library) return "loaded";
  const std::string message = library.status().message();
  return message.starts_with(path + ": ") ? message.substr(path.size() + 2) : "(without its path) " + message;
}

inline config::Plugin plugin_config(const std::string& name, const std::string& module, std::string config_json = "{}") {
  config::Plugin plugin;
  plugin.name = name;
  plugin.mark = {10, 5};
  plugin.library = module_path(module);
  plugin.config_json = std::move(config_json);
  plugin.config_marks = {{"", {12, 13}}, {"/case", {12, 14}}};
  return plugin;
}

struct Made {
  std::unique_ptr<plugin::Instance> instance;  // null: it could not be made
  std::string error;
  std::vector<config::Fault> faults;
};

inline Made make(const config::Plugin& config) {
  Made made;
  auto library = plugin::Library::load(config.library, extension::has_extension);
  if (!library) {
    made.error = library.status().message();
    return made;
  }
  auto shared = std::make_shared<const plugin::Library>(std::move(*library));
  auto instance = plugin::Instance::make(std::move(shared), config, {}, extension::host_api(), made.faults);
  if (instance) {
    made.instance = std::move(*instance);
  } else {
    made.error = instance.status().message();
  }
  return made;
}

inline Made make(const std::string& module, const std::string& which) {
  return make(plugin_config("p", module, "{\"case\":\"" + which + "\"}"));
}

}  // namespace postern::testing
