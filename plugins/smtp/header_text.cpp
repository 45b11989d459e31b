#include "header_text.h"

#include <glib.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace smtp {
namespace {

constexpr size_t kLine = 76;      // an encoded word's line has no more, others should not
constexpr size_t kLongest = 900;  // of what cannot be folded, so that its line stays below 998 with the name before it
constexpr std::string_view kWordBegin = "=?UTF-8?B?", kWordEnd = "?=";
constexpr size_t kWordBytes = 45;  // 60 characters of base64: the word has 72

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string base64(std::string_view bytes) {
  const std::unique_ptr<gchar, decltype(&g_free)> text(g_base64_encode(reinterpret_cast<const guchar*>(bytes.data()), bytes.size()), &g_free);
  return text.get();
}

// Puts pieces one behind the other, each behind a blank or, where the line is full, on a line of its own.
class Folder {
 public:
  explicit Folder(size_t name_length) : column_(name_length + 1) {}

  // `glue` stands before it on the same line, and begins the new line otherwise: blanks, which unfolding leaves as they are.
  void add(std::string_view piece, std::string_view glue = " ") {
    if (!first_ && column_ + glue.size() + piece.size() > kLine) {
      out_ += '\n';
      column_ = 0;
    }
    out_.append(glue).append(piece);
    column_ += glue.size() + piece.size();
    first_ = false;
  }
  // Whether so much more fits this line.
  size_t room() const { return column_ + 1 < kLine ? kLine - column_ - 1 : 0; }
  std::string finish() { return out_.empty() ? " \n" : out_ + "\n"; }

 private:
  std::string out_;
  size_t column_;
  bool first_ = true;
};

// Words of at most 75 characters that never split a character.
void add_words(std::string_view text, Folder& folder) {
  while (!text.empty()) {
    const size_t overhead = kWordBegin.size() + kWordEnd.size();
    const size_t here = folder.room() > overhead ? (folder.room() - overhead) / 4 * 3 : 0;
    size_t most = std::min({text.size(), kWordBytes, here < 12 ? kWordBytes : here});
    while (most < text.size() && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
    folder.add(std::string(kWordBegin) + base64(text.substr(0, most)) + std::string(kWordEnd));
    text.remove_prefix(most);
  }
}

bool needs_words(std::string_view text) {
  if (!is_ascii(text) || text.find("=?") != std::string_view::npos) return true;
  size_t run = 0;
  for (char c : text) {
    run = c == ' ' || c == '\t' ? 0 : run + 1;
    if (run > kLongest) return true;
  }
  return text.starts_with(' ') || text.starts_with('\t') || text.ends_with(' ') || text.ends_with('\t');  // they would get lost
}

// Folds before blanks, and changes none of them.
void add_folded(std::string_view text, Folder& folder) {
  size_t begin = 0;
  std::string glue = " ";
  while (begin < text.size()) {
    const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    const size_t next = std::min(text.find_first_not_of(" \t", end), text.size());
    folder.add(text.substr(begin, end - begin), glue);
    glue = text.substr(end, next - end);
    begin = next;
  }
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

bool is_atoms(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return g_ascii_isalnum(c) || std::string_view(" !#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos; });
}

constexpr size_t kLongestQuoted = 60;

void add_name(const std::string& name, Folder& folder) {
  const bool plain = is_ascii(name) && name.find("=?") == std::string::npos && name.size() <= kLongestQuoted;
  if (!plain) return add_words(name, folder);
  const bool atoms = is_atoms(name) && !name.starts_with(' ') && !name.ends_with(' ') && name.find("  ") == std::string::npos;
  folder.add(atoms ? name : quoted(name));
}

std::string percent_encoded(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    if (g_ascii_isalnum(static_cast<gchar>(c)) || c == '.' || c == '-' || c == '_') {
      out += static_cast<char>(c);
    } else {
      (out += '%') += {kHex[c >> 4], kHex[c & 15]};
    }
  }
  return out;
}

// Every character beyond ASCII is one '_'; so is what some programs stumble over.
std::string ascii_fallback(std::string_view name) {
  std::string out;
  for (unsigned char c : name) {
    if ((c & 0xc0) == 0x80) continue;
    out += c >= 0x80 || c == '"' || c == '\\' || c == '/' || c == '%' ? '_' : static_cast<char>(c);
  }
  return out;
}

}  // namespace

std::string unstructured(std::string_view name, std::string_view text) {
  Folder folder(name.size());
  needs_words(text) ? add_words(text, folder) : add_folded(text, folder);
  return folder.finish();
}

std::string mailbox_list(std::string_view name, std::span<const Mailbox> mailboxes) {
  Folder folder(name.size());
  for (size_t i = 0; i < mailboxes.size(); ++i) {
    const Mailbox& mailbox = mailboxes[i];
    const std::string comma = i + 1 < mailboxes.size() ? "," : "";
    if (!mailbox.name.empty()) add_name(mailbox.name, folder);
    folder.add((mailbox.name.empty() ? mailbox.address : "<" + mailbox.address + ">") + comma);
  }
  return folder.finish();
}

std::string disposition(std::string_view kind, std::string_view file_name) {
  std::string out = " " + std::string(kind);
  if (file_name.empty()) return out + "\n";
  const std::string fallback = ascii_fallback(file_name);
  out += ";\n filename=" + quoted(fallback);
  if (fallback != file_name) out += ";\n filename*=UTF-8''" + percent_encoded(file_name);
  return out + "\n";
}

}  // namespace smtp
