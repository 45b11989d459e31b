#include "core/cli/selection.h"

#include <ctime>
#include <optional>
#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/config/values.h"

namespace postern::cli {
namespace {

constexpr const char* kForms = " is not a time; write 2026-11-20T13:00:00Z, \"2026-11-20 13:00\" (local time), or an age such as 2h or 3d";

// After the seconds: a fraction, which is passed over. False when a point has no digit behind it.
bool skip_fraction(const char*& at) {
  if (*at != '.') return true;
  const char* begin = ++at;
  while (*at >= '0' && *at <= '9') ++at;
  return at > begin;
}

// "Z", "+01:00": seconds east of UTC.
bool read_offset(const char* at, int& seconds) {
  if ((*at == 'Z' || *at == 'z') && at[1] == '\0') return seconds = 0, true;
  if (*at != '+' && *at != '-') return false;
  std::tm offset{};
  const char* end = ::strptime(at + 1, "%H:%M", &offset);
  if (end == nullptr || *end != '\0') return false;
  seconds = (offset.tm_hour * 60 + offset.tm_min) * 60 * (*at == '-' ? -1 : 1);
  return true;
}

std::optional<int64_t> read_date(const std::string& text) {
  std::tm date{};
  date.tm_isdst = -1;
  const char* end = ::strptime(text.c_str(), "%Y-%m-%d", &date);
  if (end == nullptr) return std::nullopt;
  if (*end == 'T' || *end == 't' || *end == ' ') {
    const char* time = end + 1;
    end = ::strptime(time, "%H:%M:%S", &date);
    if (end == nullptr) end = ::strptime(time, "%H:%M", &date);
    if (end == nullptr || !skip_fraction(end)) return std::nullopt;
  }
  int offset = 0;
  std::time_t seconds = 0;
  if (*end == '\0') {
    seconds = ::mktime(&date);
  } else if (read_offset(end, offset)) {
    seconds = ::timegm(&date) - offset;
  } else {
    return std::nullopt;
  }
  return seconds < 0 ? std::nullopt : std::optional<int64_t>(seconds * 1000);
}

Status add_time(const char* name, const std::string& text, nlohmann::json& body) {
  if (text.empty()) return Status::ok();
  auto time = parse_time(text, wall_ms());
  if (!time) return time.status().with_context(std::string("--") + name);
  body[name] = *time;
  return Status::ok();
}

}  // namespace

Result<int64_t> parse_time(const std::string& text, int64_t now_ms) {
  if (auto date = read_date(text)) return *date;
  auto age = config::parse_duration(text);
  if (!age || age->count() > now_ms) return Status(Code::kInvalid, "'" + text + "'" + kForms);
  return now_ms - age->count();
}

void add_selection(CLI::App& command, SelectionOptions& options, const std::string& when) {
  command.add_option("--plugin", options.plugin, "Only for this plugin");
  command.add_option("--type", options.type, "Only these types of events; * stands for any text");
  command.add_option("--since", options.since, "Only what " + when + " since: 2026-11-20T13:00:00Z, or an age such as 2h");
  command.add_option("--until", options.until, "Only what " + when + " before that");
  command.add_option("--error", options.error, "Only what failed with this in its last error");
}

Status to_body(const SelectionOptions& options, nlohmann::json& body) {
  if (!options.plugin.empty()) body["plugin"] = options.plugin;
  if (!options.type.empty()) body["type"] = options.type;
  if (!options.error.empty()) body["error"] = options.error;
  if (Status s = add_time("since", options.since, body); !s) return s;
  return add_time("until", options.until, body);
}

}  // namespace postern::cli
