#include "handlers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "consent.h"
#include "payload.h"
#include "stored_object.h"
#include "time.h"

namespace openphone {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr size_t kMaxRecordings = 50;
constexpr size_t kMaxTranscript = 64 * 1024;  // bytes of spoken text; the event keeps the whole

json to_json_time(std::optional<int64_t> unix_ms) { return unix_ms ? json(format_time(*unix_ms)) : json(); }
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
bool is_newer(const StoredObject& record, const std::string& at, std::string_view status) {
  std::string known = record.text("status_at");
  return known.empty() || at > known || (at == known && rank(status) >= rank(record.text("status")));
}

// Notes the parties in a message's or call's record; returns those that it had not counted before.
std::vector<std::string> note_parties(StoredObject& record, const std::vector<std::string>& parties) {
  json& noted = record.value["contacts"];
  if (!noted.is_array()) noted = json::array();
  std::vector<std::string> fresh;
  for (const std::string& party : parties) {
    if (std::find(noted.begin(), noted.end(), json(party)) != noted.end()) continue;
    noted.push_back(party);
    fresh.push_back(party);
  }
  return fresh;
}

StoredObject open_contact(Delivery& delivery, const std::string& phone) {
  StoredObject contact(delivery, "contacts", phone);
  contact.value["phone"] = phone;
  for (const char* counter : {"message_count", "call_count"}) {
    if (!contact.has(counter) || !contact.value[counter].is_number_unsigned()) contact.value[counter] = 0u;
  }
  if (!contact.has("opted_out") || !contact.value["opted_out"].is_boolean()) contact.value["opted_out"] = false;
  if (!contact.has("flagged") || !contact.value["flagged"].is_boolean()) contact.value["flagged"] = false;
  return contact;
}

void note_contact(StoredObject& contact, const char* counter, bool fresh, const std::string& at) {
  if (fresh) contact.value[counter] = contact.value[counter].get<uint64_t>() + 1;
  std::string first = contact.text("first_seen");
  if (first.empty() || at < first) contact.value["first_seen"] = at;
  if (at > contact.text("last_seen")) contact.value["last_seen"] = at;
}

// Section by section of the opt-out rules; an older word never undoes a newer one. True when the contact has now opted
// out.
bool note_consent(StoredObject& contact, const ConsentFound& found, const std::string& message_id,
                  const std::string& at) {
  json& c = contact.value;
  std::string decided = contact.text("consent_at");
  switch (found.consent) {
    case Consent::kNone:
      return false;
    case Consent::kFlagged:
      if (at < contact.text("flagged_at")) return false;
      c["flagged"] = true;
      c["flagged_at"] = at;
      c["flagged_word"] = found.word;
      c["flagged_message"] = message_id;
      return false;
    case Consent::kOptIn:
      if (at <= decided) return false;
      c["opted_out"] = false;
      break;
    case Consent::kOptOut:  // of two words of the same millisecond, "no" counts
      if (at < decided) return false;
      break;
  }
  bool was_out = c["opted_out"].get<bool>();
  c["consent_at"] = at;
  c["consent_word"] = found.word;
  c["consent_message"] = message_id;
  if (found.consent != Consent::kOptOut || was_out) return false;
  c["opted_out"] = true;
  return true;
}

void emit_opt_out(Delivery& delivery, const std::string& phone, const ConsentFound& found, const Message& message,
                  const std::string& at) {
  json body = {{"contact", phone}, {"word", found.word}, {"message_id", message.id}, {"at", at}};
  if (!message.conversation_id.empty()) body["conversation_id"] = message.conversation_id;
  delivery.emit(std::string(delivery.provider()) + ".opt_out",
                body.dump(-1, ' ', false, json::error_handler_t::replace));
}

json to_json(const std::vector<Media>& media) {
  json list = json::array();
  for (const Media& one : media) {
    list.push_back(drop_empty({{"url", one.url}, {"type", one.type}, {"duration_s", or_null(one.duration_s)}}));
  }
  return list;
}

void merge_message(StoredObject& record, const Message& m, bool newer, const std::string& at) {
  record.value["id"] = m.id;
  record.merge("direction", to_text(m.direction), newer);
  record.merge("from", m.from, newer);
  record.merge("to", m.to, newer);
  record.merge("text", m.text, newer);
  record.merge("media", to_json(m.media), newer);
  record.merge("created_at", to_json_time(m.created_ms), newer);
  record.merge("conversation_id", m.conversation_id, newer);
  record.merge("phone_number_id", m.phone_number_id, newer);
  record.merge("user_id", m.user_id, newer);
  record.merge("api_version", m.envelope.api_version, newer);
  record.merge("error_code", m.error_code, newer);
  record.merge("status", m.status, newer);
  record.merge("status_at", at, newer);
}

void merge_call(StoredObject& record, const Call& c, bool newer, const std::string& at) {
  record.value["id"] = c.id;
  record.merge("direction", to_text(c.direction), newer);
  record.merge("from", c.from, newer);
  record.merge("to", c.to, newer);
  record.merge("conversation_id", c.conversation_id, newer);
  record.merge("phone_number_id", c.phone_number_id, newer);
  record.merge("user_id", c.user_id, newer);
  record.merge("api_version", c.envelope.api_version, newer);
  record.merge("created_at", to_json_time(c.created_ms), newer);
  record.merge("answered_at", to_json_time(c.answered_ms), newer);
  record.merge("completed_at", to_json_time(c.completed_ms), newer);
  record.merge("duration_s", or_null(c.duration_s), newer);
  record.merge("has_voicemail", or_null(c.has_voicemail), newer);
  record.merge("answered_by", c.answered_by, newer);
  record.merge("forwarded_from", c.forwarded_from, newer);
  record.merge("forwarded_to", c.forwarded_to, newer);
  if (c.status.empty()) return;  // an event about a part of the call
  record.merge("status", c.status, newer);
  record.merge("status_at", at, newer);
}

// A part of a call with a time of its own.
void merge_part(StoredObject& record, const char* name, json part, const std::string& at) {
  const json& known = record.value.contains(name) ? record.value[name] : json();
  if (known.is_object() && known.value("at", std::string()) > at) return;
  part["at"] = at;
  record.value[name] = drop_empty(std::move(part));
}

void merge_recordings(StoredObject& record, const std::vector<Recording>& recordings) {
  if (recordings.empty()) return;
  json& known = record.value["recordings"];
  if (!known.is_array()) known = json::array();
  for (const Recording& one : recordings) {
    const char* key = one.id.empty() ? "url" : "id";
    const std::string& name = one.id.empty() ? one.url : one.id;
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
  std::string type(delivery.short_type());
  Message m = parse_message(type, delivery.body(), delivery.external_id());
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
  delivery.set_result(json{{"message_id", m.id}}.dump());
}

void handle_call(Delivery& delivery) {
  std::string type(delivery.short_type());
  Call c = parse_call(type, delivery.body(), delivery.external_id());
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
  delivery.set_result(json{{"call_id", c.id}}.dump());
}

}  // namespace openphone
