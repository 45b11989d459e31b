// Twilio's Media Streams: what its WebSocket messages say, and those that go back. Source: Twilio docs "Media Streams - WebSocket
// Messages". Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace openai_realtime {

// One message of Twilio. Views are good until the thread reads the next JSON.
struct StreamMessage {
  enum class Kind { kConnected, kStart, kMedia, kDtmf, kMark, kStop, kUnknown };
  Kind kind = Kind::kUnknown;
  std::string_view event;       // its name, as it came
  std::string_view stream_sid;  // all but kConnected
  // kMedia
  std::string_view track, payload;
  int64_t timestamp_ms = 0;  // since the stream began
  // kDtmf, kMark
  std::string_view digit, mark;
  // kStart, kStop
  std::string_view call_sid, account_sid, encoding;
  int64_t sample_rate = 0, channels = 0;
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
};

// An empty fault is none; else what is wrong with it, for people, without its content.
struct ReadMessage {
  StreamMessage message;
  const char* fault = nullptr;
};
ReadMessage read_stream_message(std::string_view text);

// The messages that go to one stream.
class StreamWriter {
 public:
  // `stream_sid`: letters and digits alone.
  explicit StreamWriter(std::string_view stream_sid);

  // Good until the next call. `payload`: base64.
  std::string_view media(std::string_view payload);
  std::string_view mark(uint64_t number);  // named "m" and the number
  std::string_view clear();

 private:
  const std::string media_head_, mark_head_, clear_;
  std::string text_;
};

// The number of a mark that a StreamWriter has named; 0: it is not one.
uint64_t mark_number(std::string_view name);

}  // namespace openai_realtime
