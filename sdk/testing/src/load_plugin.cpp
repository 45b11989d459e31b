#include "postern/testing/load_plugin.h"

#include <dlfcn.h>

namespace postern::testing {

LoadedPlugin load_plugin(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {nullptr, dlerror()};
  void* symbol = dlsym(library, "postern_entry");
  if (symbol == nullptr) return {nullptr, path + ": exports no postern_entry"};
  return {static_cast<const postern_plugin_entry*>(symbol), {}};
}

}  // namespace postern::testing
