// WireClient: one connection to the gateway, byte by byte. It sends exactly what it is given, also what no honest
// client would, and tells how the other side ended. Every wait has a deadline. Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/eventually.h"
#include "tests/support/signing.h"

namespace postern::testing {

struct Response {
  int status = 0;
  std::string version;  // "HTTP/1.1"
  std::string reason;
  Headers headers;  // in order, as received
  std::string body;

  // The first header of that name, any case.
  std::optional<std::string> header(std::string_view name) const;
};

// What is known of the other side's end of the connection.
enum class Ending {
  kOpen,    // nothing: it has not closed
  kClosed,  // an orderly end of stream
  kReset,   // a reset: what was under way may be lost
};

class WireClient {
 public:
  // Both throw std::runtime_error when nobody listens.
  static WireClient tcp(const std::string& host, uint16_t port, milliseconds timeout = milliseconds(5000));
  static WireClient unix_socket(const std::string& path);

  WireClient(WireClient&& other) noexcept;
  WireClient& operator=(WireClient&&) = delete;
  ~WireClient();

  // Sends all of it, and takes in meanwhile what the other side answers. False when it took no more: see ending().
  bool send(std::string_view bytes, milliseconds timeout = milliseconds(10000));
  // The same without taking anything in, as a client that never reads: the other side's answers fill up its own
  // buffers.
  bool send_unread(std::string_view bytes, milliseconds timeout);
  // Sends in packets of `size` bytes, each only when the one before has arrived.
  bool send_in_pieces(std::string_view bytes, size_t size, milliseconds timeout = milliseconds(10000));

  // The next response, 1xx ones too. Nothing when the connection ends, the deadline passes or the bytes are no HTTP
  // response of known length. `to_head`: the answer to a HEAD request, which has no body whatever its Content-Length.
  std::optional<Response> read_response(milliseconds timeout = milliseconds(10000), bool to_head = false);

  // All bytes up to the other side's end; look at ending() to see whether it came before the deadline.
  std::string read_until_close(milliseconds timeout = milliseconds(10000));

  // Whether the other side ends the connection without sending anything more.
  bool closes_silently(milliseconds timeout = milliseconds(10000)) {
    return read_until_close(timeout).empty() && ended();
  }

  Ending ending() const { return ending_; }
  bool ended() const { return ending_ != Ending::kOpen; }

  void shutdown_write();  // our end of stream; reading goes on
  void close();           // orderly
  void abort();           // with a reset

 private:
  explicit WireClient(int fd) : fd_(fd) {}
  bool send(std::string_view bytes, milliseconds timeout, bool reading);
  bool receive(Clock::time_point deadline);  // at least one byte, or false
  void note_end(int error);

  int fd_ = -1;
  Ending ending_ = Ending::kOpen;
  std::string received_;  // and not yet handed out
};

// A request as text: Host and, where there is no Transfer-Encoding among `headers`, Content-Length are added.
std::string request_text(std::string_view method, std::string_view target, const Headers& headers,
                         std::string_view body = {});

}  // namespace postern::testing
