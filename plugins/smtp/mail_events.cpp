#include "mail_events.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tuple>

namespace smtp {
namespace {

using nlohmann::json;

struct Stage {
  std::string_view event, state;
  bool is_end;
  int rank;
};
constexpr Stage kStages[] = {
    {"email.processed", "processed", false, 1}, {"email.deferred", "deferred", false, 2}, {"email.delivered", "delivered", true, 3},
    {"email.bounced", "bounced", true, 4},      {"email.dropped", "dropped", true, 5},
};
constexpr std::pair<std::string_view, const char*> kMarks[] = {{"email.opened", "opened_at"},
                                                               {"email.clicked", "clicked_at"},
                                                               {"email.complained", "complained_at"},
                                                               {"email.unsubscribed", "unsubscribed_at"}};

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// An event without a time is older than all others.
int64_t time_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

bool enter_stage(json& record, const json& event, const Stage& stage) {
  const std::string now = text_of(record, "state");
  const int64_t at = time_of(event, "at");
  for (const Stage& before : kStages) {
    if (before.state != now) continue;
    if (std::tuple(stage.is_end, at, stage.rank) <= std::tuple(before.is_end, time_of(record, "at"), before.rank)) return false;
  }
  record["state"] = stage.state;
  record["at"] = at;
  record.erase("reason");
  if (std::string reason = text_of(event, "reason"); !reason.empty()) record["reason"] = std::move(reason);
  return true;
}

bool enter_mark(json& record, const json& event, const char* mark) {
  const int64_t at = time_of(event, "at");
  if (record.contains(mark) && time_of(record, mark) <= at) return false;
  record[mark] = at;
  return true;
}

}  // namespace

bool enter_mail_event(json& record, const json& event) {
  const std::string type = text_of(event, "event");
  for (const Stage& stage : kStages) {
    if (type == stage.event) return enter_stage(record, event, stage);
  }
  for (const auto& [name, mark] : kMarks) {
    if (type == name) return enter_mark(record, event, mark);
  }
  return false;
}

}  // namespace smtp
