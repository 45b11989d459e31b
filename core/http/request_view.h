// RequestView: a request as plugins see it, over memory that somebody else owns. Thread-safety: a plain value.
#pragma once

#include <optional>
#include <string_view>

namespace postern::http {

struct RequestView {
  std::string_view method, target;
  std::string_view headers;  // lines "Name: value\r\n"
  std::string_view body;
  std::string_view remote;

  // The nth header of that name, any case.
  std::optional<std::string_view> header(std::string_view name, size_t nth) const;
};

}  // namespace postern::http
