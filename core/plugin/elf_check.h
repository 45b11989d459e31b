// Looks into a plugin's code before it is loaded. GNU_UNIQUE symbols are one object for the whole process even under RTLD_LOCAL,
// so two plugins (or two generations of one) would share statics: such a library is refused.
// Thread-safety: any thread.
#pragma once

#include <string_view>

#include "core/base/status.h"

namespace postern::plugin {

// `bytes`: the whole file. kInvalid with what is wrong and what to do about it.
Status check_elf(std::string_view bytes);

}  // namespace postern::plugin
