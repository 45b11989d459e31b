#include "core/http/form.h"

#include <algorithm>

#include "core/http/characters.h"
#include "core/http/request.h"

namespace postern::http {
namespace {

std::string decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (text[i] == '%' && low >= 0) {
      decoded += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

Form parse_form(std::string_view body, size_t most) {
  Form form;
  while (!body.empty() && form.size() < most) {
    std::string_view sequence = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(sequence.size() + 1, body.size()));
    if (sequence.empty()) continue;
    size_t equals = sequence.find('=');
    std::string_view value = equals == std::string_view::npos ? std::string_view() : sequence.substr(equals + 1);
    form.emplace_back(decode(sequence.substr(0, equals)), decode(value));
  }
  return form;
}

bool is_form_type(std::string_view content_type) {
  return equals_ignoring_case(trim_white_space(content_type.substr(0, content_type.find(';'))), "application/x-www-form-urlencoded");
}

}  // namespace postern::http
