// Near misses: "did you mean …?"
// Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// "; did you mean 'listen'?" when one of the known words is a slip away (case, - for _, a letter or two wrong, missing,
// doubled or swapped); else "; known: a, b, c", or nothing when there are none.
std::string suggest(std::string_view word, const std::vector<std::string>& known);

}  // namespace postern::config
