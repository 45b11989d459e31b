#include "alerts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moments.h"
#include "templates.h"

namespace smtp {
namespace {

using nlohmann::json;
using postern::Delivery;

constexpr const char* kCollection = "alerts";
constexpr const char* kKey = "gathered";
constexpr const char* kTimer = "alerts.due";
constexpr std::string_view kPrefix = "postern.";
constexpr size_t kMaxGroups = 50, kMaxText = 300;
constexpr int64_t kLateMs = 60'000;  // a timer that has not come by then was lost: its event is dead

std::string member(const json& body, const char* name) {
  const auto found = body.find(name);
  return found == body.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

// Not within a character of UTF-8.
std::string shortened(std::string text) {
  if (text.size() <= kMaxText) return text;
  size_t end = kMaxText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

// What notices are counted by: those of one cause are one line.
std::string what_of(std::string_view type, const json& body) {
  if (type == "delivery.dead") return member(body, "type") + " for " + member(body, "plugin") + "/" + member(body, "subscriber");
  if (type == "breaker.opened") {
    const std::string upstream = member(body, "upstream");
    return member(body, "plugin") + (upstream.empty() ? "/" + member(body, "subscriber") : ", upstream " + upstream);
  }
  return type == "plugin.quarantined" ? member(body, "plugin") : std::string("deliveries wait");
}

std::string detail_of(std::string_view type, const json& body) {
  const auto number = [&](const char* name) { return body.value(name, json()).dump(); };
  if (type == "backlog.high") return number("waiting") + " wait, the limit is " + number("max_waiting");
  if (type == "plugin.quarantined") return shortened(number("crashes") + " crashes, the last: " + member(body, "last_crash"));
  return shortened(member(body, "last_error"));
}

struct Words {
  std::string_view type, one, many, next;
};
constexpr Words kWords[] = {
    {"delivery.dead", "dead delivery", "dead deliveries", "postern dead list, then postern dead replay once the cause is mended"},
    {"breaker.opened", "open breaker", "open breakers", "postern status; it closes by itself when a trial succeeds"},
    {"backlog.high", "high backlog", "high backlogs", "postern status shows who is slow"},
    {"plugin.quarantined", "plugin in quarantine", "plugins in quarantine",
     "postern plugins; after an update: postern plugins release NAME"},
};

const Words& words_of(const std::string& type) {
  const auto found = std::find_if(std::begin(kWords), std::end(kWords), [&](const Words& w) { return w.type == type; });
  return found == std::end(kWords) ? kWords[0] : *found;
}

std::string subject_of(const json& gathered) {
  std::string subject;
  for (const Words& words : kWords) {
    uint64_t count = 0;
    for (const json& group : gathered["groups"]) count += group["type"] == words.type ? group["count"].get<uint64_t>() : 0;
    if (count == 0) continue;
    subject += (subject.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(count == 1 ? words.one : words.many);
  }
  return "Postern: " + (subject.empty() ? std::string("notices") : subject);
}

constexpr std::string_view kText =
    "{{#groups}}{{count}} × {{title}}: {{{what}}}\n"
    "    {{first}}{{#until}} to {{until}}{{/until}}\n"
    "{{#detail}}    {{{detail}}}\n{{/detail}}{{#event}}    the last one is event {{event}}\n{{/event}}    next: {{{next}}}\n\n{{/groups}}"
    "{{#more}}and {{more}} more of other causes\n\n{{/more}}";
constexpr std::string_view kHtml =
    "<table cellpadding=\"8\" cellspacing=\"0\" style=\"font-family:sans-serif;font-size:14px;border-collapse:collapse\">"
    "{{#groups}}<tr style=\"border-bottom:1px solid #ddd\">"
    "<td align=\"right\" valign=\"top\" style=\"font-size:20px\"><b>{{count}}</b></td>"
    "<td><b>{{title}}</b>: {{what}}<br><span style=\"color:#666\">{{first}}{{#until}} to {{until}}{{/until}}</span>"
    "{{#detail}}<br><code>{{detail}}</code>{{/detail}}{{#event}}<br>the last one is event <code>{{event}}</code>{{/event}}"
    "<br><span style=\"color:#666\">next: {{next}}</span></td></tr>{{/groups}}</table>"
    "{{#more}}<p>and {{more}} more of other causes</p>{{/more}}";

json values_for(const json& gathered) {
  json groups = json::array();
  for (const json& group : gathered["groups"]) {
    const uint64_t count = group["count"];
    const Words& words = words_of(group["type"]);
    json shown = {{"count", std::to_string(count)}, {"title", count == 1 ? words.one : words.many}, {"what", group["what"]},
                  {"first", local_time(group["first_at"])}, {"detail", group["detail"]}, {"event", group["event"]}, {"next", words.next}};
    shown["until"] = group["last_at"] == group["first_at"] ? json(false) : json(local_time(group["last_at"]));
    for (const char* name : {"detail", "event"}) {
      if (shown[name] == "") shown[name] = false;  // so that its section is left out
    }
    groups.push_back(std::move(shown));
  }
  const uint64_t more = gathered.value("more", uint64_t{0});
  return {{"groups", std::move(groups)}, {"more", more == 0 ? json(false) : json(std::to_string(more))}};
}

json read(const postern::Record& record) {
  json gathered = record ? json::parse(record.json, nullptr, false) : json();
  if (!gathered.is_object()) gathered = json::object();
  if (!gathered.contains("groups")) gathered["groups"] = json::array();
  return gathered;
}

void count(json& gathered, std::string_view type, const json& body) {
  const std::string what = shortened(what_of(type, body));
  json& groups = gathered["groups"];
  auto group = std::find_if(groups.begin(), groups.end(), [&](const json& one) { return one["type"] == type && one["what"] == what; });
  const int64_t now = unix_ms();
  if (group == groups.end()) {
    if (groups.size() >= kMaxGroups) {
      gathered["more"] = gathered.value("more", uint64_t{0}) + 1;
      return;
    }
    groups.push_back({{"type", type}, {"what", what}, {"count", uint64_t{0}}, {"first_at", now}});
    group = std::prev(groups.end());
  }
  (*group)["count"] = (*group)["count"].get<uint64_t>() + 1;
  (*group)["last_at"] = now;
  (*group)["detail"] = detail_of(type, body);
  (*group)["event"] = member(body, "event_id");
}

}  // namespace

json alert_order(const json& gathered, const std::vector<std::string>& to) {
  static const Template text(TemplateKind::kText, kText), html(TemplateKind::kHtml, kHtml);
  const json values = values_for(gathered);
  return {{"to", to}, {"subject", subject_of(gathered)}, {"text", text.render(values)}, {"html", html.render(values)}};
}

void Alerts::init(postern::Setup& setup, const AlertOptions& options, std::string mail_type) {
  options_ = options;
  plugin_ = setup.plugin_name();
  mail_type_ = std::move(mail_type);
  setup.timer_type(kTimer);  // one that was set before may still come
  setup.on(kTimer, [this](Delivery& timer) { send(timer); });
  if (options_.to.empty()) return;
  for (const std::string& type : options_.on) {
    setup.subscribe("alerts." + type, std::string(kPrefix) + type, [this](Delivery& notice) { take(notice); });
  }
}

void Alerts::take(Delivery& notice) const {
  const json body = json::parse(notice.body(), nullptr, false);
  if (!body.is_object()) throw postern::Dead("its body is not as the gateway writes it");
  if (member(body, "plugin") == plugin_) return;
  const postern::Record before = notice.get(kCollection, kKey);
  json gathered = read(before);
  const int64_t now = unix_ms();
  if (gathered["groups"].empty() || gathered.value("due_at", int64_t{0}) + kLateMs < now) {
    const int64_t next = gathered.value("sent_at", int64_t{0}) + options_.interval.count();
    const int64_t wait = std::clamp<int64_t>(next - now, options_.gather.count(), std::max(options_.gather, options_.interval).count());
    notice.set_timer({.name = kTimer, .type = kTimer, .body = "{}", .unordered = true, .delay = std::chrono::milliseconds(wait)});
    gathered["due_at"] = now + wait;
  }
  count(gathered, notice.type().substr(kPrefix.size()), body);
  notice.put(kCollection, kKey, gathered.dump(), before.version);
}

// What was gathered goes in the same step as the event that mails it.
void Alerts::send(Delivery& timer) const {
  const postern::Record before = timer.get(kCollection, kKey);
  const json gathered = read(before);
  if (gathered["groups"].empty()) return;
  if (!options_.to.empty()) timer.emit(mail_type_, alert_order(gathered, options_.to).dump());
  timer.put(kCollection, kKey, json{{"sent_at", unix_ms()}}.dump(), before.version);
}

}  // namespace smtp
