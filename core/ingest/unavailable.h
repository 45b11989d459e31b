// The answer that makes a provider try again. Thread-safety: pure function.
#pragma once

#include <string>
#include <string_view>

#include "core/http/response.h"

namespace postern::ingest {

// 503 with Retry-After. `why` is for the sender: no internals.
inline http::Response unavailable(std::string_view why) {
  constexpr const char* kRetryAfterS = "5";
  http::Response response = http::Response::error(503, why);
  response.headers.emplace_back("Retry-After", kRetryAfterS);
  return response;
}

}  // namespace postern::ingest
