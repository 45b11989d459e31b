// Mailboxes: "Ann <ann@example.com>" or "ann@example.com", checked before anything of them gets near a socket or a header.
// Errors: throws Refused. Thread-safety: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smtp {

struct Mailbox {
  std::string name;     // as people read it; may be empty
  std::string address;  // local@domain: the domain in lower case and ASCII (punycode)
  bool needs_smtputf8 = false;  // the local part is beyond ASCII: only a server with SMTPUTF8 takes it (RFC 6531)
};

// `field` is what the error names: "to[0]".
Mailbox parse_mailbox(std::string_view field, std::string_view text);

// Each address once, in order: To, Cc and Bcc may name somebody twice. Local parts differ by case, domains do not.
std::vector<std::string> unique_addresses(std::span<const Mailbox> mailboxes);

// UTF-8 on one line: no CR, LF, NUL nor any other control character but a tab. What goes into a header is checked by it.
void check_line(std::string_view field, std::string_view text);

}  // namespace smtp
