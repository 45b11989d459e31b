#include "twilio_stream.h"

#include <charconv>

#include "json_reader.h"

namespace openai_realtime {
namespace {

using simdjson::dom::object;
using Kind = StreamMessage::Kind;

Kind kind_of(std::string_view event) {
  if (event == "media") return Kind::kMedia;
  if (event == "mark") return Kind::kMark;
  if (event == "dtmf") return Kind::kDtmf;
  if (event == "connected") return Kind::kConnected;
  if (event == "start") return Kind::kStart;
  if (event == "stop") return Kind::kStop;
  return Kind::kUnknown;
}

constexpr int64_t kLatestMs = 30LL * 24 * 3'600'000;  // a call lasts 24 hours at most; arithmetic must not overflow

const char* read_media(const object& root, StreamMessage& message) {
  const auto media = object_in(root, "media");
  if (!media) return "a media message without media";
  message.track = string_in(*media, "track");
  message.payload = string_in(*media, "payload");
  message.timestamp_ms = integer_in(*media, "timestamp").value_or(-1);
  if (message.timestamp_ms < 0 || message.timestamp_ms > kLatestMs) return "a media message without a timestamp";
  if (message.payload.empty()) return "a media message without a payload";
  return nullptr;
}

const char* read_start(const object& root, StreamMessage& message) {
  const auto start = object_in(root, "start");
  if (!start) return "a start message without start";
  message.call_sid = string_in(*start, "callSid");
  message.account_sid = string_in(*start, "accountSid");
  if (message.stream_sid.empty()) message.stream_sid = string_in(*start, "streamSid");
  if (const auto format = object_in(*start, "mediaFormat")) {
    message.encoding = string_in(*format, "encoding");
    message.sample_rate = integer_in(*format, "sampleRate").value_or(0);
    message.channels = integer_in(*format, "channels").value_or(0);
  }
  if (const auto custom = object_in(*start, "customParameters")) {
    for (const auto& [name, value] : *custom) {
      std::string_view text;
      if (value.get(text) == simdjson::SUCCESS) message.parameters.emplace_back(name, text);
    }
  }
  return nullptr;
}

const char* read_rest(const object& root, StreamMessage& message) {
  switch (message.kind) {
    case Kind::kMedia: return read_media(root, message);
    case Kind::kStart: return read_start(root, message);
    case Kind::kMark:
      if (const auto mark = object_in(root, "mark")) message.mark = string_in(*mark, "name");
      return message.mark.empty() ? "a mark without a name" : nullptr;
    case Kind::kDtmf:
      if (const auto dtmf = object_in(root, "dtmf")) message.digit = string_in(*dtmf, "digit");
      return message.digit.empty() ? "a dtmf message without a digit" : nullptr;
    case Kind::kStop:
      if (const auto stop = object_in(root, "stop")) message.call_sid = string_in(*stop, "callSid");
      return nullptr;
    case Kind::kConnected:
    case Kind::kUnknown: break;
  }
  return nullptr;
}

}  // namespace

ReadMessage read_stream_message(std::string_view text) {
  ReadMessage read;
  const auto root = read_object(text);
  if (!root) return {{}, "a message that is no JSON object"};
  read.message.event = string_in(*root, "event");
  read.message.stream_sid = string_in(*root, "streamSid");
  read.message.kind = kind_of(read.message.event);
  if (read.message.event.empty()) return {{}, "a message without an event"};
  read.fault = read_rest(*root, read.message);
  return read;
}

StreamWriter::StreamWriter(std::string_view stream_sid)
    : media_head_(R"({"event":"media","streamSid":")" + std::string(stream_sid) + R"(","media":{"payload":")"),
      mark_head_(R"({"event":"mark","streamSid":")" + std::string(stream_sid) + R"(","mark":{"name":"m)"),
      clear_(R"({"event":"clear","streamSid":")" + std::string(stream_sid) + R"("})") {}

std::string_view StreamWriter::media(std::string_view payload) {
  text_.assign(media_head_).append(payload).append(R"("}})");
  return text_;
}

std::string_view StreamWriter::mark(uint64_t number) {
  char digits[20];
  const auto [end, fault] = std::to_chars(digits, digits + sizeof digits, number);
  static_cast<void>(fault);  // 20 digits hold every number
  text_.assign(mark_head_).append(digits, end).append(R"("}})");
  return text_;
}

std::string_view StreamWriter::clear() { return clear_; }

uint64_t mark_number(std::string_view name) {
  uint64_t number = 0;
  if (!name.starts_with('m')) return 0;
  const auto [end, fault] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  return fault == std::errc() && end == name.data() + name.size() ? number : 0;
}

}  // namespace openai_realtime
