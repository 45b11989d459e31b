#include "payload.h"

#include <algorithm>
#include <postern/plugin.hpp>
#include <span>

#include "reader.h"

namespace openphone {
namespace {

using postern::Dead;

constexpr size_t kMaxParties = 50;  // the provider's groups have 10; each costs a record
constexpr size_t kMaxId = 200;      // bytes

Envelope read_envelope(const Reader& root) {
  return {root.text("id"), root.text("apiVersion"), root.time("createdAt")};
}

// The thing that an event is about: data.resource (2026-03-30), data.object (v2 to v4), or `data` itself.
Reader find_subject(const Reader& root) {
  if (!root.has("data")) throw Dead("/data: is missing");
  Reader data = root.object("data");
  if (data.empty()) throw Dead("/data: is empty");
  if (data.has("resource")) return data.object("resource");
  if (data.has_object("object")) return data.object("object");
  if (data.has("object")) data.text("object");  // a flat `data` may carry its kind there, and nothing else
  return data;
}

std::string_view checked_id(std::string_view id, const char* what) {
  if (id.empty()) throw Dead(std::string(what) + ": no id is given");
  bool plain = std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!plain || id.size() > kMaxId)
    throw Dead(std::string(what) + ": the id is longer than 200 bytes or not plain ASCII");
  return id;
}

Direction read_direction(const Reader& subject) {
  std::string_view text = subject.text("direction");
  if (text.empty()) return Direction::kUnknown;
  if (text == "incoming" || text == "inbound") return Direction::kIncoming;
  if (text == "outgoing" || text == "outbound") return Direction::kOutgoing;
  subject.fail("direction", "must be incoming or outgoing");
}

std::vector<Media> read_media(const Reader& subject) {
  std::vector<Media> media;
  for (const Reader& one : subject.objects("media")) {
    media.push_back({one.text("url"), one.text("type"), one.seconds("duration")});
  }
  return media;
}

// The numbers that are international ones, each once. Short codes and "anonymous" are nobody's contact.
std::vector<std::string> outside_numbers(std::span<const std::string_view> written) {
  std::vector<std::string> numbers;
  for (std::string_view one : written) {
    std::string number = to_e164(one);
    if (number.empty() || std::find(numbers.begin(), numbers.end(), number) != numbers.end()) continue;
    if (numbers.size() == kMaxParties) throw Dead("more than 50 numbers in one event");
    numbers.push_back(std::move(number));
  }
  return numbers;
}

std::vector<std::string> outside_of(Direction direction, std::string_view from, std::span<const std::string_view> to) {
  if (direction == Direction::kIncoming) return outside_numbers({&from, 1});
  if (direction == Direction::kOutgoing) return outside_numbers(to);
  if (to.empty()) return outside_numbers({&from, 1});
  return from.empty() ? outside_numbers(to) : std::vector<std::string>();  // which side is ours is not said
}

// "message.delivered" → "delivered".
std::string_view last_word(std::string_view type) { return type.substr(type.rfind('.') + 1); }

std::optional<Voicemail> read_voicemail(std::string_view type, const Reader& subject) {
  if (type == "call.voicemail.completed") {
    return Voicemail{subject.text({"recordingUrl", "url"}), subject.text("type"), subject.text("transcript"),
                     subject.seconds("duration")};
  }
  if (!subject.has("voicemail")) return std::nullopt;
  Reader inner = subject.object("voicemail");
  return Voicemail{inner.text({"url", "recordingUrl"}), inner.text("type"), inner.text("transcript"),
                   inner.seconds("duration")};
}

std::vector<Recording> read_recordings(const Reader& subject) {
  std::vector<Recording> recordings;
  for (const Reader& one : subject.objects("recordings")) {
    recordings.push_back({one.text("id"), one.text("url"), one.text("type"), one.seconds("duration")});
  }
  for (const Media& one : read_media(subject)) recordings.push_back({"", one.url, one.type, one.duration_s});
  return recordings;
}

Transcript read_transcript(const Reader& subject) {
  Transcript transcript{subject.text({"processingStatus", "status"}), {}};
  for (const Reader& one : subject.objects("dialogue")) {
    transcript.lines.push_back(
        {one.text({"identifier", "userId"}), one.text("content"), one.seconds("start"), one.seconds("end")});
  }
  return transcript;
}

// What the types call.summary, call.transcript, call.recording and call.voicemail carry besides the call.
void read_parts(std::string_view type, const Reader& subject, Call& call) {
  if (type == "call.summary.completed") {
    call.summary =
        Summary{subject.text({"processingStatus", "status"}), subject.texts("summary"), subject.texts("nextSteps")};
  } else if (type == "call.transcript.completed") {
    call.transcript = read_transcript(subject);
  } else {
    call.recordings = read_recordings(subject);
    call.voicemail = read_voicemail(type, subject);
  }
}

// Whether the subject is the call itself, so that its status and times are the call's.
bool is_call_itself(std::string_view type) {
  return type != "call.summary.completed" && type != "call.transcript.completed" &&
         type != "call.voicemail.completed" && type != "call.recording.completed";
}

void read_call_itself(std::string_view type, const Reader& subject, Call& call) {
  call.status = subject.text("status");
  if (call.status.empty()) call.status = last_word(type);
  call.created_ms = subject.time("createdAt");
  call.answered_ms = subject.time("answeredAt");
  call.completed_ms = subject.time("completedAt");
  call.duration_s = subject.seconds("duration");
  call.has_voicemail = subject.flag("hasVoicemail");
  call.answered_by = subject.text({"answeredBy", "answeredByUserId"});
  call.forwarded_from = subject.text("forwardedFrom");
  call.forwarded_to = subject.text("forwardedTo");
}

std::vector<std::string> call_parties(const Reader& subject, const Reader& context, const Call& call) {
  if (context.has_object("participants")) {
    auto numbers = outside_numbers(context.object("participants").texts("external"));
    if (!numbers.empty()) return numbers;
  }
  auto numbers = outside_of(call.direction, call.from, call.to);
  if (!numbers.empty() || !call.from.empty() || !call.to.empty()) return numbers;
  // Only participants are given (v4): with two or more it is not said which one is ours.
  auto participants = outside_numbers(subject.texts("participants"));
  return participants.size() == 1 ? participants : std::vector<std::string>();
}

}  // namespace

std::string_view to_text(Direction direction) {
  switch (direction) {
    case Direction::kIncoming:
      return "incoming";
    case Direction::kOutgoing:
      return "outgoing";
    case Direction::kUnknown:
      break;
  }
  return "";
}

std::string to_e164(std::string_view number) {
  constexpr std::string_view kSpacing = " -().";
  if (!number.starts_with('+')) return {};
  std::string digits;
  for (char c : number.substr(1)) {
    if (c >= '0' && c <= '9') {
      digits += c;
    } else if (kSpacing.find(c) == std::string_view::npos) {
      return {};
    }
  }
  bool sensible = digits.size() >= 7 && digits.size() <= 15 && digits[0] != '0';
  return sensible ? "+" + digits : std::string();
}

Message parse_message(std::string_view type, const Body& body, std::string_view fallback_id) {
  Reader root(body.root());
  Reader subject = find_subject(root);
  Reader context = root.object("data").object("context");
  Message m;
  m.envelope = read_envelope(root);
  m.id = subject.text({"id", "messageId"});
  if (m.id.empty()) m.id = m.envelope.id.empty() ? fallback_id : m.envelope.id;
  m.id = checked_id(m.id, "message");
  m.direction = read_direction(subject);
  if (m.direction == Direction::kUnknown) {
    m.direction = type == "message.received" ? Direction::kIncoming : Direction::kOutgoing;
  }
  m.text = subject.text({"text", "body", "content"});
  m.status = subject.text("status");
  if (m.status.empty()) m.status = last_word(type);
  m.error_code = subject.code("errorCode");
  m.from = subject.text("from");
  if (m.from.empty()) m.from = context.text("senderIdentifier");
  m.to = subject.texts("to");
  if (m.to.empty()) m.to = context.texts("recipientIdentifiers");
  m.parties = outside_of(m.direction, m.from, m.to);
  m.media = read_media(subject);
  m.created_ms = subject.time("createdAt");
  for (const Reader* place : {&context, &subject}) {
    if (m.conversation_id.empty()) m.conversation_id = place->text("conversationId");
    if (m.phone_number_id.empty()) m.phone_number_id = place->text("phoneNumberId");
    if (m.user_id.empty()) m.user_id = place->text("userId");
  }
  return m;
}

Call parse_call(std::string_view type, const Body& body, std::string_view fallback_id) {
  Reader root(body.root());
  Reader subject = find_subject(root);
  Reader context = root.object("data").object("context");
  Call c;
  c.envelope = read_envelope(root);
  bool itself = is_call_itself(type);
  std::string_view id = itself ? subject.text({"id", "callId"}) : subject.text({"callId"});
  if (id.empty()) id = context.text("callId");
  if (id.empty() && !itself) id = subject.text("id");
  if (id.empty() && itself) id = c.envelope.id.empty() ? fallback_id : c.envelope.id;
  c.id = checked_id(id, "call");
  c.direction = read_direction(subject);
  c.from = subject.text("from");
  c.to = subject.texts("to");
  c.parties = call_parties(subject, context, c);
  for (const Reader* place : {&context, &subject}) {
    if (c.conversation_id.empty()) c.conversation_id = place->text("conversationId");
    if (c.phone_number_id.empty()) c.phone_number_id = place->text("phoneNumberId");
    if (c.user_id.empty()) c.user_id = place->text("userId");
  }
  if (itself) read_call_itself(type, subject, c);
  read_parts(type, subject, c);
  return c;
}

}  // namespace openphone
