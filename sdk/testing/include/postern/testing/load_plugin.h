// load_plugin: a built plugin's descriptor, from its .so. Thread-safety: any thread. The library is never unloaded, as
// in the gateway: threads and statics of a plugin may outlive its last instance.
#pragma once

#include <string>

#include "postern/abi.h"

namespace postern::testing {

struct LoadedPlugin {
  const postern_plugin_entry* entry = nullptr;  // null: see error
  std::string error;
  explicit operator bool() const { return entry != nullptr; }
};

LoadedPlugin load_plugin(const std::string& path);

}  // namespace postern::testing
