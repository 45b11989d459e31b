#include "core/base/json_text.h"

#include <simdjson.h>

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
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    const std::string_view character = text.substr(i, length);
    const bool c1 = byte == 0xc2 && character.size() == 2 && static_cast<unsigned char>(character[1]) < 0xa0;  // steer terminals too
    const bool plain = length == 1 ? byte >= 0x20 && byte < 0x7f : !c1 && simdjson::validate_utf8(character.data(), character.size());
    if (plain) {
      out += character;
      i += length - 1;
    } else if (byte == '\n') {
      out += "\\n";
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace postern
