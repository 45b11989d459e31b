#include "tests/support/places.h"

namespace postern::testing {

std::string built(const std::string& path) { return POSTERN_BUILD_FOLDER "/" + path; }
std::string sources(const std::string& path) { return POSTERN_SOURCE_FOLDER "/" + path; }

}  // namespace postern::testing
