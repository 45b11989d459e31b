// Ways for create to fail; the build chooses one.
#include "module.h"

#include <stdexcept>

namespace {

[[maybe_unused]] constexpr postern_plugin kNoInit = plugin_of(Hooks{.init = nullptr, .destroy = [](postern_instance*) {}});
[[maybe_unused]] constexpr postern_plugin kNoDestroy = plugin_of(Hooks{.destroy = nullptr});
[[maybe_unused]] constexpr const postern_plugin* kNoFunctions = nullptr;
[[maybe_unused]] constexpr postern_plugin kTooSmall{sizeof(uint32_t), 0, nullptr, nullptr, nullptr, nullptr, nullptr};

postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin, postern_instance** instance) {
#if defined(THROWS)
  static_cast<void>(api), static_cast<void>(host), static_cast<void>(plugin), static_cast<void>(instance);
  throw std::runtime_error("no licence");
#elif defined(THROWS_INT)
  static_cast<void>(api), static_cast<void>(host), static_cast<void>(plugin), static_cast<void>(instance);
  throw 42;
#elif defined(FAILS)
  static_cast<void>(api), static_cast<void>(host), static_cast<void>(plugin), static_cast<void>(instance);
  return POSTERN_E_DENIED;
#elif defined(EXPLAINS)
  static_cast<void>(plugin), static_cast<void>(instance);
  api->set_error(host, str("the licence has run out"));
  return POSTERN_E_DENIED;
#else
  static_cast<void>(api), static_cast<void>(host);
  *instance = nullptr;
  *plugin = FUNCTIONS;
  return POSTERN_OK;
#endif
}

}  // namespace

extern "C" POSTERN_EXPORT constexpr postern_plugin_entry postern_entry = entry_of(create);
