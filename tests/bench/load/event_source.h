// EventSource: signed webhook requests, as cheap as they can be made: one text is laid out at the start, and for each
// event only its ids, its time and its signature are written into it. The body is OpenPhone's of API 2026-03-30.
// Thread-safety: one thread at a time; each worker has its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/load/hmac.h"
#include "tests/bench/load/options.h"

namespace postern::load {

// 128 random bits: what makes an event's id unique.
struct EventId {
  uint64_t high = 0;
  uint64_t low = 0;
};

inline constexpr size_t kIdSize = 34;  // "EV" and 32 hex digits

// Writes kIdSize characters.
void write_id(EventId id, char* out);

class EventSource {
 public:
  // Throws std::invalid_argument when the secret cannot be read or the body cannot be so small.
  explicit EventSource(const Options& options);

  // The whole request of this event, sent at `now_ms` (Unix milliseconds). An event's body is the same each time; time
  // and signature are new. Valid until the next call.
  std::string_view request(EventId id, int64_t now_ms);

  // The bytes of the latest request once more (--static).
  std::string_view last() const { return request_; }

  size_t body_size() const { return request_.size() - body_at_; }

 private:
  std::string lay_out_body() const;
  std::string lay_out_head(size_t body_size) const;
  std::vector<size_t> take_places(std::string_view mark);
  size_t take_place(std::string_view mark);
  void sign(int64_t now_ms);

  Options options_;
  HmacSha256 hmac_;
  std::string request_;
  size_t body_at_ = 0;
  std::vector<size_t> ids_;            // where the event's 32 hex digits belong
  std::vector<size_t> conversations_;  // where the conversation's 32 hex digits belong
  std::vector<size_t> phones_;         // where the other side's 9 digits belong
  std::vector<size_t> times_;          // where the timestamp belongs
  size_t signature_at_ = 0;
  size_t time_size_ = 10;
  std::string prefix_;  // of what is signed: all before the body
};

}  // namespace postern::load
