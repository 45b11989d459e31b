// What stands behind the colon of a header, encoded and folded: RFC 2047, 2231, 5322. GMime's own encoder makes encoded words of more than
// 75 characters where a text has no blanks, puts URLs into encoded words, and writes no ASCII file name beside the other.
// Every result ends with a line feed and begins with the blank behind the colon, as g_mime_header_set_raw_value() wants it. Lines end with
// LF alone. Inputs are checked already (address.h). Thread-safety: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "address.h"

namespace smtp {

// `name` is the header's, whose length counts.
std::string unstructured(std::string_view name, std::string_view text);
std::string mailbox_list(std::string_view name, std::span<const Mailbox> mailboxes);
// Content-Disposition: `kind` is "attachment" or "inline"; without a file name only that.
std::string disposition(std::string_view kind, std::string_view file_name);

}  // namespace smtp
