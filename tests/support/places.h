// Where things are: in the folder of the build, and in that of the sources. One file alone is compiled with their names, so that ccache
// finds every other object again in another checkout.
#pragma once

#include <string>

namespace postern::testing {

std::string built(const std::string& path);    // "plugins/smtp.so"
std::string sources(const std::string& path);  // "tests/support/mail/postfix.py"

inline std::string probe_library() { return built("tests/plugins/probe.so"); }

}  // namespace postern::testing
