// The payload generations of the provider (v2, v3, v4, 2026-03-30, and the flat `data` of test senders) as one normal
// form, whose texts live as long as the body and the delivery. Errors: throws postern::Dead with a reason when a body
// is not of any of their shapes. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "body.h"

namespace openphone {

enum class Direction { kUnknown, kIncoming, kOutgoing };
std::string_view to_text(Direction direction);  // "" when it is unknown

struct Media {
  std::string_view url, type;
  std::optional<int64_t> duration_s;
};

// What every event says of itself.
struct Envelope {
  std::string_view id, api_version;
  std::optional<int64_t> created_ms;  // Unix milliseconds
};

struct Message {
  Envelope envelope;
  std::string_view id, text, status, from;
  std::string error_code;
  std::vector<std::string_view> to;
  std::vector<std::string> parties;  // E.164 numbers of the outside: the sender, or those written to
  Direction direction = Direction::kUnknown;
  std::string_view conversation_id, phone_number_id, user_id;
  std::vector<Media> media;
  std::optional<int64_t> created_ms;
};

struct Voicemail {
  std::string_view url, type, transcript;
  std::optional<int64_t> duration_s;
};

struct Recording {
  std::string_view id, url, type;
  std::optional<int64_t> duration_s;
};

struct Summary {
  std::string_view status;
  std::vector<std::string_view> lines, next_steps;
};

struct Line {
  std::string_view speaker, content;
  std::optional<int64_t> start_s, end_s;
};

struct Transcript {
  std::string_view status;
  std::vector<Line> lines;
};

// One event about a call; the parts that its type does not speak of are absent.
struct Call {
  Envelope envelope;
  std::string_view id, status, from;
  std::vector<std::string_view> to;
  std::vector<std::string> parties;
  Direction direction = Direction::kUnknown;
  std::string_view conversation_id, phone_number_id, user_id, answered_by, forwarded_from, forwarded_to;
  std::optional<int64_t> created_ms, answered_ms, completed_ms, duration_s;
  std::optional<bool> has_voicemail;
  std::optional<Voicemail> voicemail;
  std::vector<Recording> recordings;
  std::optional<Summary> summary;
  std::optional<Transcript> transcript;
};

// `type` without the plugin's name: "message.received". `fallback_id` names a message that has no id of its own.
Message parse_message(std::string_view type, const Body& body, std::string_view fallback_id);
Call parse_call(std::string_view type, const Body& body, std::string_view fallback_id);

// "+1 (415) 555-0123" → "+14155550123"; "" for what is not an international number (ITU-T E.164).
std::string to_e164(std::string_view number);

}  // namespace openphone
