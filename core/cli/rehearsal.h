// Tries a configuration out in a process of its own, as `postern check` does, before a gateway loads it: what a plugin does there, be it a
// crash, exit() or an endless loop, ends that process and not the gateway.
// Thread-safety: any thread that may wait.
#pragma once

#include <functional>
#include <string>

#include "core/base/status.h"

namespace postern::cli {

// Ok, or everything that is wrong, as `check` says it. Takes at most half a minute, and ends soon when it is given up.
Status rehearse(const std::string& config_file, const std::function<bool()>& given_up);

}  // namespace postern::cli
