#include "core/http/request_view.h"

#include "core/http/request.h"

namespace postern::http {

std::optional<std::string_view> RequestView::header(std::string_view name, size_t nth) const {
  for (std::string_view rest = headers; !rest.empty();) {
    size_t end = rest.find("\r\n");
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    size_t colon = line.find(": ");
    if (colon == std::string_view::npos || !equals_ignoring_case(line.substr(0, colon), name)) continue;
    if (nth-- == 0) return line.substr(colon + 2);
  }
  return std::nullopt;
}

const Form& RequestView::form() const {
  std::call_once(form_parsed_, [this] {
    if (auto type = header("content-type", 0); type && is_form_type(*type)) form_ = parse_form(body);
  });
  return form_;
}

}  // namespace postern::http
