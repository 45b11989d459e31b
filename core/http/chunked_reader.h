// ChunkedReader: the chunked transfer coding (RFC 9112 §7.1), strictly: sizes are 1–16 hex digits, lines end in CRLF,
// chunk extensions and trailers are refused (a gateway before us may read them differently: smuggling).
// Thread-safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::http {

class ChunkedReader {
 public:
  enum class State { kReading, kComplete, kMalformed, kTooLarge };

  // Decodes `data` and appends the payload to `body`, up to `max_body` bytes in all. Returns how many bytes it
  // consumed: all of them while kReading, no byte beyond the last CRLF when kComplete.
  size_t feed(std::string_view data, std::string& body, uint64_t max_body);

  State state() const { return state_; }
  void reset() { *this = ChunkedReader(); }

 private:
  enum class Step { kSize, kSizeLf, kData, kDataCr, kDataLf, kEndCr, kEndLf };

  void read_framing(char c, uint64_t room);
  void expect(bool right, Step next);

  State state_ = State::kReading;
  Step step_ = Step::kSize;
  uint64_t size_ = 0;  // of the chunk at hand: what is left of it
  int digits_ = 0;
};

}  // namespace postern::http
