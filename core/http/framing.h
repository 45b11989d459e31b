// What the headers of a request say about where it ends and whether the connection goes on (RFC 9112 §6 and §9, RFC
// 9110 §7.2 and §10.1.1).
// Thread-safety: pure function.
#pragma once

#include <cstdint>

#include "core/http/request.h"

namespace postern::http {

struct Framing {
  int status = 0;           // of the refusal: 400, 411, 413, 417 or 501; 0 when all is well
  const char* reason = "";  // static text
  bool chunked = false;
  uint64_t content_length = 0;
  bool expects_continue = false;
  bool keep_alive = true;
};

// Reads only the head; the request line must have been parsed.
Framing read_framing(const Request& request);

}  // namespace postern::http
