#include "core/http/request.h"

#include "core/http/characters.h"
#include "core/http/target.h"

namespace postern::http {
namespace {

// No "| 0x20": it would make '^' equal to '~', and both may stand in a name.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

Request::Span span(std::string_view part, std::string_view whole) {
  return {static_cast<uint32_t>(part.data() - whole.data()), static_cast<uint32_t>(part.size())};
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::optional<std::string_view> Request::header(std::string_view name, size_t nth) const {
  for (const Field& field : fields_) {
    if (equals_ignoring_case(text(field.name), name) && nth-- == 0) return text(field.value);
  }
  return std::nullopt;
}

size_t Request::count(std::string_view name) const {
  size_t n = 0;
  for (const Field& field : fields_) n += equals_ignoring_case(text(field.name), name) ? 1 : 0;
  return n;
}

std::string Request::headers_text() const {
  std::string out;
  out.reserve(head_.size() + fields_.size());
  for (const Field& field : fields_) {
    out.append(text(field.name)).append(": ").append(text(field.value)).append("\r\n");
  }
  return out;
}

bool Request::split_target() {
  const std::optional<TargetParts> parts = http::split_target(method(), target());
  if (!parts) return false;
  path_ = span(parts->path, head_);
  // An absent query is a view to nowhere.
  query_ = parts->query.empty() ? Span{} : span(parts->query, head_);
  return true;
}

Request Request::from_parts(std::string_view method, std::string_view target, std::string_view headers,
                            std::string body) {
  Request request;
  std::string& head = request.head_;
  head.reserve(method.size() + target.size() + headers.size() + 16);
  head.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  const size_t fields_begin = head.size();
  head.append(headers);
  const std::string_view whole = head;
  request.method_ = span(whole.substr(0, method.size()), whole);
  request.target_ = span(whole.substr(method.size() + 1, target.size()), whole);
  if (!request.split_target()) request.path_ = request.target_;

  for (std::string_view rest = whole.substr(fields_begin); !rest.empty();) {
    const size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 2);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    request.fields_.push_back(
        {span(line.substr(0, colon), whole), span(trim_white_space(line.substr(colon + 1)), whole)});
  }
  request.body_ = std::move(body);
  return request;
}

}  // namespace postern::http
