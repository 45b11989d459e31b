// is_json: whether a text is one JSON value in itself (RFC 8259), at most 64 levels deep. UTF-8 is not checked.
// Thread-safety: a pure function.
#pragma once

#include <string_view>

namespace postern::testing {

bool is_json(std::string_view text);

}  // namespace postern::testing
