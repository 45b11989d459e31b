// Text for JSON and for terminals. Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace postern {

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD: the result is always valid.
void append_json_string(std::string_view text, std::string& out);
std::string json_string(std::string_view text);

// Appends `text` with control characters and bytes that are not UTF-8 escaped, so that input can neither start a new log line nor steer a
// terminal.
void append_printable(std::string_view text, std::string& out);

}  // namespace postern
