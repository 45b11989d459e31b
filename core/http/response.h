// A response and its bytes: framing is ours alone, so headers that callers give cannot contradict it (Content-Length,
// Transfer-Encoding, Connection and X-Request-Id among them are dropped, as are line ends and other control bytes in
// values, and headers whose name is no token).
// Thread-safety: plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::http {

struct Response {
  int status = 200;
  std::string body;
  std::string_view content_type = "application/json";  // static storage; a Content-Type among `headers` takes its place
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;  // close the connection after it

  // {"error": text}: `text` for whoever sent the request; contains no input and no internals.
  static Response error(int status, std::string_view text);
  static Response json(int status, std::string body);
};

std::string_view reason_phrase(int status);

// Appends status line, headers and body to `out`. `request_id` becomes X-Request-Id unless empty.
// `head_only`: the answer to a HEAD request. A status outside 100–999 is sent as 500.
void serialize(const Response& response, bool keep_alive, std::string_view request_id, bool head_only,
               std::string& out);

}  // namespace postern::http
