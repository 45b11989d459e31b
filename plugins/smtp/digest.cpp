#include "digest.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "moments.h"
#include "templates.h"

namespace smtp {
namespace {

using nlohmann::json;
using postern::Delivery;
using postern::ProviderReport;

constexpr const char* kCollection = "digest";
constexpr const char* kKey = "plan";
constexpr const char* kPlan = "smtp.digest.plan";
constexpr const char* kTimer = "digest.due";
constexpr int64_t kDayMs = 24 * 3'600'000;
constexpr uint64_t kBarWidth = 160;  // pixels of the longest one

constexpr std::string_view kText =
    "{{from}} to {{to}}\n\n"
    "{{#providers}}{{{provider}}}\n    {{received}} received, {{done}} handled, {{dead}} dead, {{waiting}} waiting\n"
    "{{#slowest}}    slowest: {{slowest}}, {{{type}}} ({{event}})\n{{/slowest}}\n{{/providers}}"
    "{{^providers}}Nothing came.\n\n{{/providers}}"
    "handled, dead and waiting count deliveries of those events: one for each subscriber.\n";
constexpr std::string_view kHtml =
    "<div style=\"font-family:sans-serif;font-size:14px\"><p style=\"color:#666\">{{from}} to {{to}}</p>"
    "{{^providers}}<p>Nothing came.</p>{{/providers}}"
    "<table cellpadding=\"6\" cellspacing=\"0\" style=\"border-collapse:collapse;font-size:14px\">"
    "{{#any}}<tr style=\"text-align:right;color:#666\"><th align=\"left\">provider</th><th align=\"left\">received</th><th></th>"
    "<th>handled</th><th>dead</th><th>waiting</th><th align=\"left\">slowest</th></tr>{{/any}}"
    "{{#providers}}<tr style=\"border-top:1px solid #ddd\"><td><b>{{provider}}</b></td>"
    "<td><table cellpadding=\"0\" cellspacing=\"0\" width=\"160\" style=\"width:160px\"><tr>"  // kBarWidth: a narrow window leaves it
    "<td width=\"{{bar}}\" height=\"12\" bgcolor=\"#4c78a8\"></td><td></td></tr></table></td>"
    "<td align=\"right\">{{received}}</td><td align=\"right\">{{done}}</td>"
    "<td align=\"right\"{{#dead_any}} style=\"color:#b00020;font-weight:bold\"{{/dead_any}}>{{dead}}</td>"
    "<td align=\"right\">{{waiting}}</td>"
    "<td>{{#slowest}}{{slowest}}, {{type}} <span style=\"color:#666;word-break:break-all\">{{event}}</span>{{/slowest}}</td></tr>{{/providers}}</table>"
    "<p style=\"color:#666\">handled, dead and waiting count deliveries of those events: one for each subscriber.</p></div>";

// "850 ms", "12.3 s", "4 min", "2.5 h"
std::string duration_text(uint64_t ms) {
  char text[32];
  const double value = static_cast<double>(ms);
  if (ms < 1'000) return std::to_string(ms) + " ms";
  if (ms < 120'000) return {text, static_cast<size_t>(std::snprintf(text, sizeof text, "%.1f s", value / 1e3))};
  if (ms < 7'200'000) return {text, static_cast<size_t>(std::snprintf(text, sizeof text, "%.0f min", value / 6e4))};
  return {text, static_cast<size_t>(std::snprintf(text, sizeof text, "%.1f h", value / 3.6e6))};
}

json row_of(const ProviderReport& one, uint64_t most) {
  const uint64_t bar = most == 0 ? 0 : one.received * kBarWidth / most;
  json row = {{"provider", one.provider}, {"received", std::to_string(one.received)}, {"done", std::to_string(one.done)},
              {"dead", std::to_string(one.dead)}, {"waiting", std::to_string(one.waiting)}, {"dead_any", one.dead != 0},
              {"bar", std::to_string(std::max<uint64_t>(bar, one.received == 0 ? 0 : 1))}};
  row["slowest"] = one.slowest_event.empty() ? json(false) : json(duration_text(one.slowest_ms));
  row["type"] = one.slowest_type;
  row["event"] = one.slowest_event;
  return row;
}

}  // namespace

json digest_order(const std::vector<ProviderReport>& providers, int64_t from, int64_t to, const std::vector<std::string>& recipients) {
  static const Template text(TemplateKind::kText, kText), html(TemplateKind::kHtml, kHtml);
  uint64_t received = 0, dead = 0, most = 0;
  for (const ProviderReport& one : providers) {
    received += one.received;
    dead += one.dead;
    most = std::max(most, one.received);
  }
  json rows = json::array();
  for (const ProviderReport& one : providers) rows.push_back(row_of(one, most));
  const json values = {{"from", local_time(from)}, {"to", local_time(to)}, {"any", !rows.empty()}, {"providers", rows}};
  const std::string subject = "Postern: " + std::to_string(received) + (received == 1 ? " event, " : " events, ") + std::to_string(dead) +
                              (dead == 1 ? " dead delivery" : " dead deliveries");
  return {{"to", recipients}, {"subject", subject}, {"text", text.render(values)}, {"html", html.render(values)}};
}

void Digest::init(postern::Setup& setup, const DigestOptions& options, std::string mail_type) {
  options_ = options;
  mail_type_ = std::move(mail_type);
  setup.timer_type(kTimer);  // one that was set before may still come
  setup.on(kTimer, [this](Delivery& timer) { send(timer); });
  setup.on(kPlan, [this](Delivery& event) { plan(event); });
  if (options_.to.empty()) return;
  publisher_ = setup.publisher();
  reports_ = setup.reports();
}

void Digest::activate() const {
  if (!options_.to.empty()) publisher_.publish({.type = kPlan, .body = "{}"});
}

void Digest::plan(Delivery& event) const {
  const postern::Record before = event.get(kCollection, kKey);
  json plan = before ? json::parse(before.json, nullptr, false) : json();
  if (!plan.is_object()) plan = json::object();
  // What is due already comes by itself, but where its event has died.
  const bool stands = plan.value("at", -1) == options_.at && plan.value("due", int64_t{0}) + kDayMs > unix_ms();
  if (options_.to.empty() || stands) return;
  set_timer(event, plan);
  event.put(kCollection, kKey, plan.dump(), before.version);
}

void Digest::set_timer(Delivery& delivery, json& plan) const {
  const int64_t now = unix_ms(), due = next_time_of_day(now, options_.at);
  plan["at"] = options_.at;
  plan["due"] = due;
  delivery.set_timer({.name = kTimer, .type = kTimer, .body = "{}", .unordered = true, .delay = std::chrono::milliseconds(due - now)});
}

void Digest::send(Delivery& timer) const {
  const postern::Record before = timer.get(kCollection, kKey);
  json plan = before ? json::parse(before.json, nullptr, false) : json();
  if (options_.to.empty() || !plan.is_object()) return timer.remove(kCollection, kKey, before.version);
  const int64_t to = unix_ms(), from = std::min(to, plan.value("until", to - kDayMs));
  timer.emit(mail_type_, digest_order(reports_.by_provider(from, to), from, to, options_.to).dump());
  plan["until"] = to;
  set_timer(timer, plan);
  timer.put(kCollection, kKey, plan.dump(), before.version);
}

}  // namespace smtp
