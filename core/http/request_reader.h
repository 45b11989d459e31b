// RequestReader: bytes of a connection → requests, strictly by RFC 9112. It is the door: what it lets through,
// everything behind it believes. It refuses whatever two programs could read in two ways (smuggling), and holds no more
// than its limits.
//
// Use, on one thread, for one request after the other:
//   feed() until state() is kHead → kHeadComplete; look at request(); then begin_body(max) and feed() on → kComplete;
//   take().
// feed() never consumes bytes beyond the request (pipelining), and stops after the head. How the bytes were cut into
// pieces changes neither outcome nor order of cost: each byte is looked at a bounded number of times. A fault is
// refused with the first byte that shows it; a truncated request never completes.
// Thread-safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/http/chunked_reader.h"
#include "core/http/request.h"

namespace postern::http {

struct ReadLimits {
  size_t request_line = 8 * 1024;  // bytes without the line end; over it 414
  size_t head = 64 * 1024;         // bytes of request line and headers with line ends, below 4 GiB; over it 431
  size_t headers = 100;            // number; over it 431
};

class RequestReader {
 public:
  enum class State {
    kHead,          // waits for the end of the head
    kHeadComplete,  // request() shows the head; call begin_body()
    kBody,          // reads the body
    kComplete,      // take() the request
    kRefused,       // refusal() says how; the connection must close after the answer
  };
  struct Refusal {
    int status = 0;           // 400, 411, 413, 414, 417, 431, 501, 505
    const char* reason = "";  // static text for log and answer; contains no input
  };

  explicit RequestReader(ReadLimits limits = {}) : limits_(limits) {}

  // Consumes bytes of one request and returns how many: none unless kHead or kBody.
  size_t feed(std::string_view data);

  // After kHeadComplete: how large the body may be. Refuses with 413 at once when Content-Length says more, and as soon
  // as a chunked body grows larger.
  void begin_body(uint64_t max_body);

  State state() const { return state_; }
  const Refusal& refusal() const { return refusal_; }
  const Request& request() const { return request_; }
  // The request line has begun (the empty line that some clients send after a body does not count).
  bool in_head() const { return state_ == State::kHead && head_started_; }
  // The client waits for "100 Continue" before it sends the body (RFC 9110 §10.1.1); only when there is one.
  bool expects_continue() const { return expects_continue_; }
  // Bytes of the request at hand that are in memory.
  size_t held() const { return request_.head_.size() + request_.body_.size(); }
  bool has_body() const { return chunked_ || content_length_ > 0; }

  // After kComplete: gives the request away and starts anew.
  Request take();

 private:
  void refuse(int status, const char* reason);
  size_t feed_head(std::string_view data);
  size_t feed_body(std::string_view data);
  size_t line_room() const;
  void check_unfinished_line(size_t fresh_begin);
  void finish_line();
  void finish_head();
  void parse_request_line(std::string_view line);
  bool parse_version(std::string_view version);
  void parse_field(size_t begin, size_t end);
  std::string_view line_so_far() const { return std::string_view(request_.head_).substr(line_begin_); }

  ReadLimits limits_;
  State state_ = State::kHead;
  Refusal refusal_;
  Request request_;
  size_t line_begin_ = 0;  // of the line at hand, in request_.head_
  bool head_started_ = false;
  bool empty_line_skipped_ = false;
  bool request_line_done_ = false;
  bool expects_continue_ = false;
  bool chunked_ = false;
  uint64_t content_length_ = 0;
  uint64_t max_body_ = 0;
  ChunkedReader chunks_;
};

}  // namespace postern::http
