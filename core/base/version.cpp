#include "core/base/version.h"

namespace postern {

// The one file that is compiled anew when the version changes.
const char* version() { return POSTERN_VERSION; }

}  // namespace postern
