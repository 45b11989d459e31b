// RequestView: a request as plugins see it, over memory that somebody else owns.
// Thread-safety: const access from any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/form.h"
#include "core/http/router.h"

namespace postern::http {

struct RequestView {
  std::string_view method, target;
  std::string_view headers;  // lines "Name: value\r\n"
  std::string_view body;
  std::string_view remote;
  const std::vector<std::string>* urls = nullptr;  // by which the provider may have called; null: not known any more
  const PathParameters* path = nullptr;            // null: not known any more

  // The nth header of that name, any case.
  std::optional<std::string_view> header(std::string_view name, size_t nth) const;
  // The parameters of a form body, taken apart when first asked for; empty where the body is of another type.
  const Form& form() const;

  mutable std::once_flag form_parsed_ = {};
  mutable Form form_ = {};
};

}  // namespace postern::http
