// Text from outside, made fit for XML, JSON and a terminal. Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace twilio {

// Valid UTF-8 of characters that XML 1.0 (section 2.2) allows: the others (controls, U+FFFE, U+FFFF) are dropped, each byte that
// belongs to no character is U+FFFD.
std::string clean_text(std::string_view bytes);

// One printable line of at most `limit` bytes, for a person: '?' for what is not printable ASCII, "..." where it was cut.
std::string printable(std::string_view bytes, size_t limit = 300);

}  // namespace twilio
