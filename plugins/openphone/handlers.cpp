#include "handlers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "consent.h"
#include "json_text.h"
#include "payload.h"
#include "stored_object.h"
#include "time.h"

namespace openphone {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr size_t kMaxRecordings = 50;
constexpr size_t kMaxTranscript = 64 * 1024;  // bytes of spoken text; the event keeps the whole

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

json drop_empty(json object) {
  for (auto it = object.begin(); it != object.end();) {
    bool empty = it->is_null() || (it->is_string() && it->get_ref<const std::string&>().empty());
    it = empty ? object.erase(it) : std::next(it);
  }
  return object;
}

// A time as the event tells it, but never later than its arrival: a clock that runs ahead must not shut out what comes
// after.
int64_t trusted_time(std::optional<int64_t> told, const Delivery& delivery) {
  int64_t arrival = delivery.received_at().time_since_epoch().count();
  return told ? std::min(*told, arrival) : arrival;
}

// Two states of the same millisecond: the one that is further on counts.
int rank(std::string_view status) {
  constexpr std::string_view kFirst[] = {"queued", "initiated", "ringing", "received"};
  constexpr std::string_view kMiddle[] = {"in-progress", "sent"};
  if (std::find(std::begin(kFirst), std::end(kFirst), status) != std::end(kFirst)) return 0;
  return std::find(std::begin(kMiddle), std::end(kMiddle), status) != std::end(kMiddle) ? 1 : 2;
}

// Whether an event of time `at` says more about the state than what the record has.
bool is_newer(const StoredObject& record, std::string_view at, std::string_view status) {
  std::string_view known = record.text("status_at");
  return known.empty() || at > known || (at == known && rank(status) >= rank(record.text("status")));
}

// Notes the parties in a message's or call's record; returns those that it had not counted before.
std::vector<std::string> note_parties(StoredObject& record, const std::vector<std::string>& parties) {
  std::string noted(record.json("contacts"));
  if (!noted.starts_with('[')) noted = "[]";
  std::vector<std::string> fresh;
  for (const std::string& party : parties) {
    std::string entry = in_quotes(party);  // without escapes: the list has the number when its text has the entry
    if (noted.find(entry) != std::string::npos) continue;
    noted.insert(noted.size() - 1, noted == "[]" ? entry : "," + entry);
    fresh.push_back(party);
  }
  record.set("contacts", std::move(noted));
  return fresh;
}

StoredObject open_contact(Delivery& delivery, const std::string& phone) {
  StoredObject contact(delivery, "contacts", phone);
  contact.set("phone", json_of(phone));
  for (const char* counter : {"message_count", "call_count"}) {
    if (!contact.count(counter)) contact.set(counter, "0");
  }
  for (const char* flag : {"opted_out", "flagged"}) {
    if (contact.json(flag) != "true") contact.set(flag, "false");
  }
  return contact;
}

void note_contact(StoredObject& contact, const char* counter, bool fresh, std::string_view at) {
  if (fresh) contact.set(counter, std::to_string(contact.count(counter).value_or(0) + 1));
  std::string_view first = contact.text("first_seen");
  if (first.empty() || at < first) contact.set("first_seen", json_of(at));
  if (at > contact.text("last_seen")) contact.set("last_seen", json_of(at));
}

// Section by section of the opt-out rules; an older word never undoes a newer one. True when the contact has now opted
// out.
bool note_consent(StoredObject& contact, const ConsentFound& found, std::string_view message_id, std::string_view at) {
  std::string_view decided = contact.text("consent_at");
  switch (found.consent) {
    case Consent::kNone:
      return false;
    case Consent::kFlagged:
      if (at < contact.text("flagged_at")) return false;
      contact.set("flagged", "true");
      contact.set("flagged_at", json_of(at));
      contact.set("flagged_word", json_of(found.word));
      contact.set("flagged_message", json_of(message_id));
      return false;
    case Consent::kOptIn:
      if (at <= decided) return false;
      contact.set("opted_out", "false");
      break;
    case Consent::kOptOut:  // of two words of the same millisecond, "no" counts
      if (at < decided) return false;
      break;
  }
  bool was_out = contact.json("opted_out") == "true";
  contact.set("consent_at", json_of(at));
  contact.set("consent_word", json_of(found.word));
  contact.set("consent_message", json_of(message_id));
  if (found.consent != Consent::kOptOut || was_out) return false;
  contact.set("opted_out", "true");
  return true;
}

void emit_opt_out(Delivery& delivery, const std::string& phone, const ConsentFound& found, const Message& message,
                  const std::string& at) {
  json body = {{"contact", phone}, {"word", found.word}, {"message_id", message.id}, {"at", at}};
  if (!message.conversation_id.empty()) body["conversation_id"] = message.conversation_id;
  delivery.emit(std::string(delivery.provider()) + ".opt_out", dump(body));
}

std::string json_of_media(const std::vector<Media>& media) {
  if (media.empty()) return {};
  json list = json::array();
  for (const Media& one : media) {
    list.push_back(drop_empty({{"url", one.url}, {"type", one.type}, {"duration_s", or_null(one.duration_s)}}));
  }
  return dump(list);
}

std::string json_of_time(std::optional<int64_t> unix_ms) {
  return unix_ms ? json_of(format_time(*unix_ms)) : std::string();
}

void merge_message(StoredObject& record, const Message& m, bool newer, std::string_view at) {
  record.set("id", json_of(m.id));
  record.merge("direction", json_of(to_text(m.direction)), newer);
  record.merge("from", json_of(m.from), newer);
  record.merge("to", json_of(m.to), newer);
  record.merge("text", json_of(m.text), newer);
  record.merge("media", json_of_media(m.media), newer);
  record.merge("created_at", json_of_time(m.created_ms), newer);
  record.merge("conversation_id", json_of(m.conversation_id), newer);
  record.merge("phone_number_id", json_of(m.phone_number_id), newer);
  record.merge("user_id", json_of(m.user_id), newer);
  record.merge("api_version", json_of(m.envelope.api_version), newer);
  record.merge("error_code", json_of(m.error_code), newer);
  record.merge("status", json_of(m.status), newer);
  record.merge("status_at", json_of(at), newer);
}

void merge_call(StoredObject& record, const Call& c, bool newer, std::string_view at) {
  record.set("id", json_of(c.id));
  record.merge("direction", json_of(to_text(c.direction)), newer);
  record.merge("from", json_of(c.from), newer);
  record.merge("to", json_of(c.to), newer);
  record.merge("conversation_id", json_of(c.conversation_id), newer);
  record.merge("phone_number_id", json_of(c.phone_number_id), newer);
  record.merge("user_id", json_of(c.user_id), newer);
  record.merge("api_version", json_of(c.envelope.api_version), newer);
  record.merge("created_at", json_of_time(c.created_ms), newer);
  record.merge("answered_at", json_of_time(c.answered_ms), newer);
  record.merge("completed_at", json_of_time(c.completed_ms), newer);
  record.merge("duration_s", json_of(c.duration_s), newer);
  record.merge("has_voicemail", json_of(c.has_voicemail), newer);
  record.merge("answered_by", json_of(c.answered_by), newer);
  record.merge("forwarded_from", json_of(c.forwarded_from), newer);
  record.merge("forwarded_to", json_of(c.forwarded_to), newer);
  if (c.status.empty()) return;  // an event about a part of the call
  record.merge("status", json_of(c.status), newer);
  record.merge("status_at", json_of(at), newer);
}

// A part of a call with a time of its own.
void merge_part(StoredObject& record, const char* name, json part, const std::string& at) {
  json known = record.parsed(name);
  if (known.is_object() && known.value("at", std::string()) > at) return;
  part["at"] = at;
  record.set(name, dump(drop_empty(std::move(part))));
}

void merge_recordings(StoredObject& record, const std::vector<Recording>& recordings) {
  if (recordings.empty()) return;
  json known = record.parsed("recordings");
  if (!known.is_array()) known = json::array();
  for (const Recording& one : recordings) {
    const char* key = one.id.empty() ? "url" : "id";
    std::string_view name = one.id.empty() ? one.url : one.id;
    json entry =
        drop_empty({{"id", one.id}, {"url", one.url}, {"type", one.type}, {"duration_s", or_null(one.duration_s)}});
    auto same = std::find_if(known.begin(), known.end(),
                             [&](const json& k) { return k.is_object() && k.value(key, std::string()) == name; });
    if (same != known.end()) {
      same->update(entry);
    } else if (known.size() < kMaxRecordings) {
      known.push_back(std::move(entry));
    }
  }
  record.set("recordings", dump(known));
}

json to_json(const Transcript& transcript) {
  json lines = json::array();
  size_t bytes = 0;
  for (const Line& line : transcript.lines) {
    bytes += line.content.size() + line.speaker.size();
    if (bytes > kMaxTranscript) return {{"status", transcript.status}, {"lines", lines}, {"truncated", true}};
    lines.push_back(drop_empty({{"speaker", line.speaker},
                                {"content", line.content},
                                {"start_s", or_null(line.start_s)},
                                {"end_s", or_null(line.end_s)}}));
  }
  return {{"status", transcript.status}, {"lines", lines}};
}

void merge_parts(StoredObject& record, const Call& c, const std::string& at) {
  if (c.voicemail) {
    const Voicemail& v = *c.voicemail;
    merge_part(record, "voicemail",
               {{"url", v.url}, {"type", v.type}, {"transcript", v.transcript}, {"duration_s", or_null(v.duration_s)}},
               at);
  }
  if (c.summary) {
    const Summary& s = *c.summary;
    merge_part(record, "summary", {{"status", s.status}, {"lines", s.lines}, {"next_steps", s.next_steps}}, at);
  }
  if (c.transcript) merge_part(record, "transcript", to_json(*c.transcript), at);
  merge_recordings(record, c.recordings);
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

void handle_message(Delivery& delivery) {
  std::string_view type = delivery.short_type();
  Body body(delivery.body());
  Message m = parse_message(type, body, delivery.external_id());
  std::string event_at = format_time(trusted_time(m.envelope.created_ms, delivery));
  std::string at = m.created_ms ? format_time(trusted_time(m.created_ms, delivery)) : event_at;

  StoredObject record(delivery, "messages", m.id);
  merge_message(record, m, is_newer(record, event_at, m.status), event_at);
  std::vector<std::string> fresh = note_parties(record, m.parties);
  record.save();

  bool inbound = type == "message.received" && m.direction == Direction::kIncoming;
  ConsentFound found = inbound ? find_consent(m.text) : ConsentFound();
  for (const std::string& party : m.parties) {
    StoredObject contact = open_contact(delivery, party);
    note_contact(contact, "message_count", contains(fresh, party), at);
    if (note_consent(contact, found, m.id, at)) emit_opt_out(delivery, party, found, m, at);
    contact.save();
  }
  delivery.set_result(R"({"message_id":)" + in_quotes(m.id) + "}");
}

void handle_call(Delivery& delivery) {
  Body body(delivery.body());
  Call c = parse_call(delivery.short_type(), body, delivery.external_id());
  std::string event_at = format_time(trusted_time(c.envelope.created_ms, delivery));
  std::string at = c.created_ms ? format_time(trusted_time(c.created_ms, delivery)) : event_at;

  StoredObject record(delivery, "calls", c.id);
  merge_call(record, c, !c.status.empty() && is_newer(record, event_at, c.status), event_at);
  merge_parts(record, c, event_at);
  std::vector<std::string> fresh = note_parties(record, c.parties);
  record.save();

  for (const std::string& party : c.parties) {
    StoredObject contact = open_contact(delivery, party);
    note_contact(contact, "call_count", contains(fresh, party), at);
    contact.save();
  }
  delivery.set_result(R"({"call_id":)" + in_quotes(c.id) + "}");
}

}  // namespace openphone
