#include "calls.h"

#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/DateTimeParser.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "text.h"

namespace twilio {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr size_t kMaxField = 1024;    // bytes of a field that a record keeps; the event keeps the whole
constexpr size_t kMaxCallSid = 200;
constexpr size_t kMaxRecordings = 50;

// The first value of each name; bounded text that JSON can hold.
class Fields {
 public:
  explicit Fields(const postern::Request& request) {
    for (const auto& [name, value] : request.form()) fields_.emplace(name, value);
  }
  std::string_view raw(std::string_view name) const {
    auto found = fields_.find(name);
    return found == fields_.end() ? std::string_view() : found->second;
  }
  std::string text(std::string_view name) const { return clean_text(raw(name).substr(0, kMaxField)); }
  // A number without sign; nothing for any other text.
  std::optional<int64_t> number(std::string_view name) const {
    std::string_view digits = raw(name);
    uint32_t value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    bool whole = !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
    return whole ? std::optional<int64_t>(value) : std::nullopt;
  }

 private:
  std::map<std::string_view, std::string_view> fields_;
};

std::string call_sid_of(const Fields& fields) {
  std::string_view sid = fields.raw("CallSid");
  if (sid.empty()) throw postern::Dead("CallSid is missing");
  if (sid.size() > kMaxCallSid) throw postern::Dead("CallSid is longer than " + std::to_string(kMaxCallSid) + " bytes");
  bool plain = std::all_of(sid.begin(), sid.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!plain) throw postern::Dead("CallSid is not plain ASCII");
  return std::string(sid);
}

// "Tue, 31 Mar 2026 14:05:06 +0000" (RFC 2822); without one, and for times that have not come yet, the event's arrival.
std::string time_of(const Fields& fields, const Delivery& delivery) {
  Poco::Timestamp at(delivery.received_at().time_since_epoch().count() * 1000);
  std::string_view text = fields.raw("Timestamp");
  Poco::DateTime told;
  int zone = 0;
  if (text.size() < 64 && Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::RFC1123_FORMAT, std::string(text), told, zone)) {
    told.makeUTC(zone);
    if (told.year() >= 1970) at = std::min(at, told.timestamp());
  }
  return Poco::DateTimeFormatter::format(at, "%Y-%m-%dT%H:%M:%S.%iZ");
}

bool is_final(std::string_view status) {
  constexpr std::string_view kFinal[] = {"completed", "busy", "failed", "no-answer", "canceled"};
  return std::find(std::begin(kFinal), std::end(kFinal), status) != std::end(kFinal);
}

int rank(std::string_view status) {
  constexpr std::string_view kOrder[] = {"in-progress", "ringing", "initiated", "queued"};
  return static_cast<int>(std::end(kOrder) - std::find(std::begin(kOrder), std::end(kOrder), status));  // 0: not known
}

std::string string_in(const json& record, const char* field) {
  auto found = record.find(field);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}
int64_t number_in(const json& record, const char* field, int64_t otherwise) {
  auto found = record.find(field);
  return found != record.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

// How far on a state is: of two of the same call the greater one counts.
using Progress = std::tuple<bool, int64_t, int, std::string>;
Progress progress_of(const std::string& status, int64_t sequence, const std::string& at) {
  if (status.empty()) return {false, -2, 0, ""};
  return {is_final(status), sequence, rank(status), at + status};
}
Progress progress_of(const json& record) {
  return progress_of(string_in(record, "status"), number_in(record, "sequence_number", -1), string_in(record, "status_at"));
}

// Sets what the event gives: over an older value only when `newer`.
void merge(json& record, const char* field, const json& given, bool newer) {
  bool nothing = given.is_null() || (given.is_string() && given.get_ref<const std::string&>().empty());
  if (!nothing && (newer || !record.contains(field))) record[field] = given;
}

// The earliest time at which something was so.
void merge_earliest(json& record, const char* field, const std::string& at) {
  std::string known = string_in(record, field);
  if (known.empty() || at < known) record[field] = at;
}

const char* direction_of(std::string_view told) {
  if (told == "inbound") return "incoming";
  return told.starts_with("outbound") ? "outgoing" : "";
}

void merge_recording(json& record, const Fields& fields) {
  std::string id = fields.text("RecordingSid"), url = fields.text("RecordingUrl");
  if (id.empty() && url.empty()) return;
  json& known = record["recordings"];
  if (!known.is_array()) known = json::array();
  const char* key = id.empty() ? "url" : "id";
  const std::string& name = id.empty() ? url : id;
  auto same = std::find_if(known.begin(), known.end(), [&](const json& one) { return string_in(one, key) == name; });
  if (same == known.end()) {
    if (known.size() >= kMaxRecordings) return;
    same = known.insert(known.end(), json::object());
  }
  if (!id.empty()) (*same)["id"] = id;
  if (!url.empty()) (*same)["url"] = url;
  if (auto seconds = fields.number("RecordingDuration")) (*same)["duration_s"] = *seconds;
}

void merge_call(json& record, const Fields& fields, const std::string& at) {
  std::string status = fields.text("CallStatus"), to = fields.text("To");
  auto sequence = fields.number("SequenceNumber");
  bool newer = !status.empty() && progress_of(status, sequence.value_or(-1), at) > progress_of(record);
  merge(record, "account_sid", fields.text("AccountSid"), newer);
  merge(record, "direction", direction_of(fields.raw("Direction")), newer);
  merge(record, "from", fields.text("From"), newer);
  if (!to.empty()) merge(record, "to", json::array({to}), newer);
  merge(record, "forwarded_from", fields.text("ForwardedFrom"), newer);
  merge(record, "answered_by", fields.text("AnsweredBy"), newer);
  merge(record, "api_version", fields.text("ApiVersion"), newer);
  if (auto seconds = fields.number("CallDuration")) merge(record, "duration_s", *seconds, newer);
  merge_earliest(record, "created_at", at);
  if (status == "in-progress") merge_earliest(record, "answered_at", at);
  if (is_final(status)) merge_earliest(record, "completed_at", at);
  merge_recording(record, fields);
  if (!newer) return;
  record["status"] = status;
  record["status_at"] = at;
  if (sequence) record["sequence_number"] = *sequence;
}

std::string to_text(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

void emit_ended(Delivery& delivery, const json& record) {
  json to = record.contains("to") && record["to"].is_array() && !record["to"].empty() ? record["to"][0] : json("");
  json body = {{"call_sid", record["id"]},
               {"status", record["status"]},
               {"from", string_in(record, "from")},
               {"to", to},
               {"duration", record.contains("duration_s") ? record["duration_s"] : json()}};
  delivery.emit(std::string(delivery.provider()) + ".call.ended", to_text(body));
}

}  // namespace

void handle_call(Delivery& delivery) {
  Fields fields(delivery.request());
  std::string sid = call_sid_of(fields);
  postern::Record stored = delivery.get("calls", sid);
  json before = stored ? json::parse(stored.json, nullptr, false) : json::object();
  if (!before.is_object()) before = json::object();
  json record = before;
  record["id"] = sid;
  merge_call(record, fields, time_of(fields, delivery));
  if (record != before) delivery.put("calls", sid, to_text(record), stored.version);
  bool ended = is_final(string_in(record, "status")) && !is_final(string_in(before, "status"));
  if (ended) emit_ended(delivery, record);
  delivery.set_result(to_text({{"call_id", sid}}));
}

}  // namespace twilio
