#include "json_text.h"

#include <algorithm>

namespace openphone {

using nlohmann::json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

void append_quoted(std::string& out, std::string_view text) {
  auto needs_escape = [](unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; };
  if (std::any_of(text.begin(), text.end(), needs_escape)) {
    out += dump(text);
  } else {
    ((out += '"') += text) += '"';
  }
}

std::string in_quotes(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_quoted(out, text);
  return out;
}

std::string json_of(std::string_view text) { return text.empty() ? std::string() : in_quotes(text); }

std::string json_of(const std::vector<std::string_view>& list) {
  std::string out;
  for (std::string_view one : list) {
    out += out.empty() ? '[' : ',';
    append_quoted(out, one);
  }
  return list.empty() ? out : out += ']';
}

std::string json_of(std::optional<int64_t> number) { return number ? std::to_string(*number) : std::string(); }

std::string json_of(std::optional<bool> flag) { return flag ? (*flag ? "true" : "false") : ""; }

}  // namespace openphone
