// JSON pointers (RFC 6901), taken apart. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::ingest {

using PointerTokens = std::vector<std::string>;

// "/a~1b/0" → {"a/b", "0"}; "" → {}, the whole text. Nothing where it is not a pointer.
std::optional<PointerTokens> parse_pointer(std::string_view pointer);

// The index that a token stands for in an array: digits without leading zeros.
std::optional<size_t> array_index(std::string_view token);

}  // namespace postern::ingest
