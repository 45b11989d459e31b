// The opening handshake of RFC 6455 §4, both sides, without the sockets. No extension is ever agreed on, so no reserved bit may be set later.
// Thread-safety: pure functions; a ClientHandshake belongs to one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/http/request.h"
#include "core/http/response.h"

namespace postern::websocket {

// ---- server

// The head of the 101, or the refusal: 400, or 426 where the client speaks another version. `protocols`: what the route offers; the first of the
// client's that is among them is chosen, and none is no fault (§4.2.2).
struct Acceptance {
  std::string switching;
  std::optional<http::Response> refusal;
};
Acceptance accept(const http::Request& request, const std::vector<std::string>& protocols, std::string_view request_id);

// ---- client

using Headers = std::vector<std::pair<std::string, std::string>>;

class ClientHandshake {
 public:
  // `authority`: HOST[:PORT] as in the URL; `target`: path and query.
  ClientHandshake(std::string_view authority, std::string_view target, const Headers& headers, std::vector<std::string> protocols);

  // What to send first.
  const std::string& request() const { return request_; }
  // Takes of the answer what belongs to it; what is behind it are frames. Nothing while more is needed.
  struct Outcome {
    size_t used = 0;
    Status status;
  };
  std::optional<Outcome> feed(std::string_view bytes);

  int http_status() const { return http_status_; }              // of the answer, once it is known; else 0
  const std::string& protocol() const { return protocol_; }     // that the server chose; may be empty

 private:
  Status judge(std::string_view head);
  Status judge_headers(const http::Request& answer);

  static constexpr size_t kMaxHead = 16 * 1024;
  std::string request_;
  std::string expected_;  // Sec-WebSocket-Accept
  std::vector<std::string> protocols_;
  std::string head_;
  int http_status_ = 0;
  std::string protocol_;
};

// What the server answers to a key (§4.2.2, 5.4).
std::string accept_key(std::string_view key);

}  // namespace postern::websocket
