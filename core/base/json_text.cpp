#include "core/base/json_text.h"

#include <nlohmann/json.hpp>

namespace postern {
namespace {

bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

}  // namespace

void append_json_string(std::string_view text, std::string& out) {
  bool plain = true;
  for (char c : text) plain = plain && is_plain(static_cast<unsigned char>(c));
  if (plain) {  // nearly always
    out += '"';
    out += text;
    out += '"';
    return;
  }
  out += nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(text, out);
  return out;
}

void append_printable(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  int follow = 0;  // bytes that still belong to the character at hand
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    auto byte = static_cast<unsigned char>(c);
    auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    bool plain = byte >= 0x20 && byte < 0x7f;
    if ((byte & 0xc0) == 0x80) {
      plain = follow-- > 0;  // alone it may be a C1 control
    } else {
      follow = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc2 ? 1 : 0;
      if (follow > 0) plain = byte != 0xc2 || next >= 0xa0;  // U+0080 to U+009F steer terminals too
      if (!plain) follow = 0;
    }
    if (plain) {
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace postern
