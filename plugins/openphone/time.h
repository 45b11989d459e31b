// Points in time as the provider writes them: ISO 8601 (RFC 3339). Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace openphone {

// Unix milliseconds of "2026-11-20T10:00:00.123Z", "…+01:00" or without a fraction; years 1970 to 2999. Nothing for
// anything else.
std::optional<int64_t> parse_time(std::string_view text);

// "2026-11-20T10:00:00.123Z": of equal length, so that texts compare as times do.
std::string format_time(int64_t unix_ms);

}  // namespace openphone
