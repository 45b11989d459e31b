#include "upkeep.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mail_events.h"
#include "moments.h"
#include "sender.h"

namespace smtp {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr const char* kCollection = "upkeep";
constexpr const char* kKey = "plan";
constexpr const char* kPlan = "smtp.upkeep.plan";
constexpr const char* kTimer = "upkeep.due";
constexpr const char* kSwept[] = {kMails, kMailEvents};
constexpr std::chrono::hours kEvery(24);
constexpr std::chrono::seconds kSoon(1);  // where there are more to look at
constexpr size_t kMostRemoved = 400, kPages = 10;  // of each
constexpr uint32_t kPage = 500;

void set_timer(Delivery& delivery, std::chrono::milliseconds delay) {
  delivery.set_timer({.name = kTimer, .type = kTimer, .body = "{}", .unordered = true, .delay = delay});
}

// The last time that it names, "at", "sent_at" and the like, at whatever depth.
int64_t last_time(const json& value) {
  int64_t last = 0;
  if (!value.is_object()) return last;
  for (const auto& [name, member] : value.items()) {
    const bool is_time = member.is_number_integer() && (name == "at" || name.ends_with("_at"));
    last = std::max(last, is_time ? member.get<int64_t>() : last_time(member));
  }
  return last;
}

json plan_in(const postern::Record& record) {
  json plan = record ? json::parse(record.json, nullptr, false) : json();
  return plan.is_object() ? plan : json::object();
}

}  // namespace

void Upkeep::init(postern::Setup& setup, std::chrono::milliseconds keep) {
  keep_ = keep;
  publisher_ = setup.publisher();
  setup.timer_type(kTimer);
  setup.on(kTimer, [this](Delivery& timer) { sweep(timer); });
  setup.on(kPlan, [this](Delivery& event) { plan(event); });
}

void Upkeep::activate() const { publisher_.publish({.type = kPlan, .body = "{}", .external_id = "upkeep"}); }

// Once a day, however often the gateway starts.
void Upkeep::plan(Delivery& event) const {
  const postern::Record before = event.get(kCollection, kKey);
  json plan = plan_in(before);
  const int64_t day = std::chrono::milliseconds(kEvery).count();
  if (plan.value("due", int64_t{0}) + day > unix_ms()) return;
  plan["due"] = unix_ms() + day;
  set_timer(event, kEvery);
  event.put(kCollection, kKey, plan.dump(), before.version);
}

void Upkeep::sweep(Delivery& timer) const {
  const postern::Record before = timer.get(kCollection, kKey);
  json plan = plan_in(before);
  bool more = false;
  for (const char* collection : kSwept) {
    std::string after = plan.value(collection, std::string());
    more = sweep(timer, collection, after) || more;
    plan[collection] = after;
  }
  const std::chrono::milliseconds delay = more ? std::chrono::milliseconds(kSoon) : kEvery;
  plan["due"] = unix_ms() + delay.count();
  set_timer(timer, delay);
  timer.put(kCollection, kKey, plan.dump(), before.version);
}

// From the key `after` on, which goes on with it, and begins anew at the end. Whether there are more.
bool Upkeep::sweep(Delivery& timer, const char* collection, std::string& after) const {
  const int64_t oldest = unix_ms() - keep_.count();
  size_t removed = 0;
  for (size_t page = 0; page < kPages; ++page) {
    const auto records = timer.list(collection, {}, after, kPage);
    if (records.empty()) {
      after.clear();
      return false;
    }
    for (const postern::NamedRecord& one : records) {
      if (removed >= kMostRemoved) return true;
      after = one.key;
      if (last_time(json::parse(one.json, nullptr, false)) >= oldest) continue;
      timer.remove(collection, one.key, one.version);
      ++removed;
    }
  }
  return true;
}

}  // namespace smtp
