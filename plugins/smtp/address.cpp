#include "address.h"

#include <arpa/inet.h>
#include <glib.h>

#include <algorithm>
#include <memory>
#include <unordered_set>

#include "refused.h"

namespace smtp {
namespace {

constexpr size_t kMaxAddress = 254, kMaxLocal = 64, kMaxLabel = 63, kMaxName = 500;

[[noreturn]] void refuse(std::string_view field, std::string_view why) { throw Refused(std::string(field) + ": " + std::string(why)); }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 5322, 3.2.3, and what RFC 6531 adds to it.
bool is_atext(unsigned char c) { return c >= 0x80 || g_ascii_isalnum(static_cast<gchar>(c)) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(static_cast<char>(c)) != std::string_view::npos; }

bool is_dot_atom(std::string_view text) {
  bool after_dot = true;  // nor may it begin with one
  for (char c : text) {
    if (c == '.' ? after_dot : !is_atext(static_cast<unsigned char>(c))) return false;
    after_dot = c == '.';
  }
  return !after_dot;
}

bool is_quoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '"') return false;
    if (text[i] == '\\' && ++i + 1 >= text.size()) return false;
  }
  return true;
}

bool is_literal(std::string_view text) {
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
  std::string inner(text.substr(1, text.size() - 2));
  unsigned char bytes[16];
  if (g_ascii_strncasecmp(inner.c_str(), "IPv6:", 5) == 0) return inet_pton(AF_INET6, inner.c_str() + 5, bytes) == 1;
  return inet_pton(AF_INET, inner.c_str(), bytes) == 1;
}

bool is_host_name(std::string_view text) {
  while (!text.empty()) {
    const size_t dot = std::min(text.find('.'), text.size());
    const std::string_view label = text.substr(0, dot);
    const bool letters = std::all_of(label.begin(), label.end(), [](char c) { return g_ascii_isalnum(c) || c == '-' || c == '_'; });
    if (label.empty() || label.size() > kMaxLabel || !letters || label.front() == '-' || label.back() == '-') return false;
    if (dot + 1 == text.size()) return false;  // it ends with a dot
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return true;
}

std::string to_ascii_domain(std::string_view field, std::string_view domain) {
  if (domain.empty()) refuse(field, "nothing stands behind the '@'");
  if (is_literal(domain)) return std::string(domain);
  const std::unique_ptr<gchar, decltype(&g_free)> ascii(g_hostname_to_ascii(std::string(domain).c_str()), &g_free);
  std::string name = ascii ? ascii.get() : "";
  for (char& c : name) c = g_ascii_tolower(c);
  if (name.empty() || !is_host_name(name)) refuse(field, "what stands behind the '@' is no domain");
  return name;
}

// Without its quotes, where it has some.
std::string parse_name(std::string_view field, std::string_view text) {
  if (text.empty()) return {};
  std::string name;
  if (text.front() == '"') {
    if (!is_quoted(text)) refuse(field, "the name's quotes do not match");
    for (size_t i = 1; i + 1 < text.size(); ++i) name += text[i] == '\\' ? text[++i] : text[i];
  } else {
    if (text.find_first_of("<>\"") != std::string_view::npos) refuse(field, "a name with '<', '>' or '\"' must stand in quotes");
    name = text;
  }
  if (name.size() > kMaxName) refuse(field, "the name has more than 500 bytes");
  return name;
}

std::string parse_address(std::string_view field, std::string_view text, bool& needs_smtputf8) {
  if (text.empty()) refuse(field, "the address is empty");
  if (text.size() > kMaxAddress) refuse(field, "the address has more than 254 bytes");
  if (text.find_first_of("<>") != std::string_view::npos) refuse(field, "'<' and '>' must enclose one address, at the end");
  const size_t at = text.rfind('@');
  if (at == std::string_view::npos) refuse(field, "the address has no '@'");
  const std::string_view local = text.substr(0, at);
  if (local.empty()) refuse(field, "nothing stands before the '@'");
  if (local.size() > kMaxLocal) refuse(field, "more than 64 bytes stand before the '@'");
  if (!is_dot_atom(local) && !is_quoted(local)) refuse(field, "what stands before the '@' is no mailbox name");
  needs_smtputf8 = std::any_of(local.begin(), local.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  std::string address = std::string(local) + "@" + to_ascii_domain(field, text.substr(at + 1));
  if (address.size() > kMaxAddress) refuse(field, "the address has more than 254 bytes");  // punycode is longer
  return address;
}

}  // namespace

void check_line(std::string_view field, std::string_view text) {
  for (char c : text) {
    if (c == '\r' || c == '\n') refuse(field, "a line break is not allowed");
    if (c == '\0') refuse(field, "a NUL byte is not allowed");
    if ((c >= 0 && c < ' ' && c != '\t') || c == 0x7f) refuse(field, "a control character is not allowed");
  }
  if (!g_utf8_validate_len(text.data(), text.size(), nullptr)) refuse(field, "it is not UTF-8");
}

Mailbox parse_mailbox(std::string_view field, std::string_view text) {
  check_line(field, text);
  text = trim(text);
  Mailbox mailbox;
  std::string_view address = text;
  if (text.ends_with('>')) {
    const size_t open = text.rfind('<');
    if (open == std::string_view::npos) refuse(field, "'<' and '>' must enclose one address, at the end");
    mailbox.name = parse_name(field, trim(text.substr(0, open)));
    address = text.substr(open + 1, text.size() - open - 2);
  }
  mailbox.address = parse_address(field, address, mailbox.needs_smtputf8);
  return mailbox;
}

std::vector<std::string> unique_addresses(std::span<const Mailbox> mailboxes) {
  std::vector<std::string> addresses;
  std::unordered_set<std::string_view> seen;
  for (const Mailbox& mailbox : mailboxes) {
    if (seen.insert(mailbox.address).second) addresses.push_back(mailbox.address);
  }
  return addresses;
}

}  // namespace smtp
