// One HTTP request as it was on the wire, from a file that a person saved. Thread-safety: pure function.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/http/request.h"

namespace postern::cli {

struct RawRequest {
  http::Request request;
  std::vector<std::string> notes;  // what a person should know about the file
};

// Reads it as strictly as the gateway does, but that a head with bare line feeds, as editors save it, is taken for one with CRLF. kInvalid:
// how the gateway would refuse it.
Result<RawRequest> parse_raw_request(std::string bytes);

}  // namespace postern::cli
