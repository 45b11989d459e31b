#include "core/admission/forwarded.h"

#include "core/http/characters.h"

namespace postern::admission {

bool is_trusted(const std::string& peer, const AddressList& trusted) {
  return !trusted.empty() && (peer == "unix" || trusted.contains(peer));
}

std::vector<std::string_view> list_elements(const http::Request& request, std::string_view header) {
  std::vector<std::string_view> elements;
  for (size_t n = 0; auto value = request.header(header, n); ++n) {
    for (std::string_view rest = *value;;) {
      size_t comma = rest.find(',');
      elements.push_back(http::trim_white_space(rest.substr(0, comma)));
      if (elements.size() > kMaxHops) return elements;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return elements;
}

std::optional<std::string_view> forwarded_parameter(std::string_view element, std::string_view name) {
  while (!element.empty()) {
    size_t semicolon = element.find(';');
    std::string_view pair = http::trim_white_space(element.substr(0, semicolon));
    element.remove_prefix(semicolon == std::string_view::npos ? element.size() : semicolon + 1);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !http::equals_ignoring_case(pair.substr(0, equals), name)) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return std::nullopt;
}

}  // namespace postern::admission
