// Looks into a plugin's file before it is loaded. GNU_UNIQUE symbols are one object for the whole process even under RTLD_LOCAL,
// so two plugins (or two generations of one) would share statics: such a library is refused.
// Thread-safety: any thread.
#pragma once

#include <string>

#include "core/base/status.h"

namespace postern::plugin {

// kInvalid with what to do about it; kNotFound where there is no file. Reads at most 256 MiB.
Status check_elf(const std::string& path);

}  // namespace postern::plugin
