// EventSource: signed webhook requests, as cheap as they can be made: one text is laid out at the start, and for each
// event only what differs is written into it: ids, time, signature. One class for each provider.
// Thread-safety: one thread at a time; each worker has its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  virtual ~EventSource() = default;

  // The whole request of this event, sent at `now_ms` (Unix milliseconds). An event's body is the same each time; time
  // and signature are new. Valid until the next call.
  virtual std::string_view request(EventId id, int64_t now_ms) = 0;

  // The bytes of the latest request once more (--static).
  std::string_view last() const { return request_; }

 protected:
  std::string request_;
};

// Throws std::invalid_argument when the secret cannot be read or the body cannot be so small.
std::unique_ptr<EventSource> make_event_source(const Options& options);

// Where something belongs in a text that was laid out with stand-ins for it.
using Places = std::vector<size_t>;

// Stand-ins of the right length. No honest text contains them.
inline const std::string kIdMark(32, '\1');            // 32 hex digits
inline const std::string kConversationMark(32, '\2');  // 32 hex digits
inline const std::string kPhoneMark(9, '\3');          // the last digits of the other side's number
inline constexpr char kTimeMark = '\4';
inline constexpr char kSignatureMark = '\5';

// The places of a mark; it is overwritten with zeros, so that the text is whole even before the first event.
Places take_places(std::string& text, std::string_view mark);

// Writes 32 hex digits to each place.
void write_hex(EventId value, const Places& places, std::string& text);
// Writes the last `size` digits to each place.
void write_decimal(uint64_t value, size_t size, const Places& places, std::string& text);

}  // namespace postern::load
