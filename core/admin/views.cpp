#include "core/admin/views.h"

#include <nlohmann/json.hpp>

#include "core/base/ids.h"
#include "core/http/request_view.h"

namespace postern::admin {
namespace {

using nlohmann::json;

constexpr size_t kAllDeliveries = 10'000;  // of one event: as many as it has subscribers

// What proves a sender's identity stays in the store; a screen or a ticket is no place for it.
bool is_private_header(std::string_view name) {
  std::string lower;
  for (char c : name) lower += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  return lower.find("signature") != std::string::npos || lower.find("token") != std::string::npos ||
         lower.find("secret") != std::string::npos || lower.find("key") != std::string::npos;
}

std::string shown_headers(const std::string& headers) {
  std::string shown;
  for (std::string_view rest = headers; !rest.empty();) {
    size_t end = rest.find("\r\n");
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    std::string_view name = line.substr(0, line.find(':'));
    shown += is_private_header(name) ? std::string(name) + ": (hidden)" : std::string(line);
    shown += "\r\n";
  }
  return shown;
}

json to_json(const store::EventRow& row, bool with_content) {
  json event = {{"seq", row.seq},           {"id", row.id},
                {"event_id", row.id},       {"provider", row.provider},
                {"type", row.type},         {"external_id", row.external_id},
                {"order_key", row.order_key}, {"received_at", row.received_at},
                {"method", row.method},     {"target", row.target},
                {"remote", row.remote},     {"depth", row.depth},
                {"state", row.state}};
  if (with_content) {
    event["headers"] = shown_headers(row.headers);
    event["body"] = row.body;
  }
  return event;
}

json to_json(const store::AttemptRow& row) {
  return {{"delivery", row.delivery},       {"n", row.n},           {"started_at", row.started_at},
          {"duration_us", row.duration_us}, {"outcome", row.outcome}, {"detail", row.detail}};
}

}  // namespace

json to_json(const store::DeliveryRow& row) {
  return {{"seq", row.seq},
          {"event", row.event},
          {"event_id", row.event_id},
          {"type", row.event_type},
          {"plugin", row.plugin},
          {"subscriber", row.subscriber},
          {"state", row.state},
          {"attempts", row.attempts},
          {"due_at", row.due_at},
          {"last_error", row.last_error.empty() ? json(nullptr) : json(row.last_error)},
          {"settled_at", row.settled_at == 0 ? json(nullptr) : json(row.settled_at)},
          {"duration_us", row.duration_us},
          {"replayed_at", row.replayed_at == 0 ? json(nullptr) : json(row.replayed_at)},
          {"dropped_at", row.dropped_at == 0 ? json(nullptr) : json(row.dropped_at)}};
}

json Views::status() const {
  store::Counters counters = sources_.store.counters();
  dispatch::Dispatcher::Status dispatch = sources_.dispatcher.status();
  Status accepting = sources_.store.condition();
  json subscribers = json::array();
  for (const auto& s : dispatch.subscribers) {
    subscribers.push_back({{"plugin", s.plugin},
                           {"subscriber", s.name},
                           {"breaker", s.breaker},
                           {"breaker_opens", s.breaker_opens},
                           {"failures", s.failures},
                           {"next_trial_at", s.next_trial_at == 0 ? json(nullptr) : json(s.next_trial_at)},
                           {"done", s.done},
                           {"retried", s.retried},
                           {"postponed", s.postponed},
                           {"dead", s.dead},
                           {"last_error", s.last_error.empty() ? json(nullptr) : json(s.last_error)}});
  }
  json status = sources_.gateway();
  status["accepting"] = accepting.is_ok();
  status["reason"] = accepting.is_ok() ? json(nullptr) : json(accepting.message());
  status["store"] = {{"events", counters.events}, {"duplicates", counters.duplicates}, {"batches", counters.batches},
                     {"settled", counters.settled}, {"queued", counters.open}, {"dead", counters.dead}};
  status["dispatch"] = {{"running", dispatch.running}, {"loaded", dispatch.loaded}, {"orphans", dispatch.orphans},
                        {"abandoned", dispatch.abandoned}, {"subscribers", subscribers}};
  return status;
}

json Views::plugins() const { return sources_.plugins(); }
json Views::routes() const { return sources_.routes(); }
std::string Views::metrics() const { return sources_.metrics(); }

Result<json> Views::events(const store::EventFilter& filter) const {
  auto rows = sources_.store.events(filter);
  if (!rows) return rows.status();
  json list = json::array();
  for (const store::EventRow& row : *rows) list.push_back(to_json(row, filter.with_content));
  return list;
}

Result<json> Views::event(const std::string& event_id) const {
  auto seq = seq_of_event_id(event_id);
  Status unknown(Code::kNotFound, "no event has this id");
  if (!seq) return unknown;
  store::EventFilter filter;
  filter.seq = *seq;
  filter.with_content = true;
  auto rows = sources_.store.events(filter);
  if (!rows) return rows.status();
  if (rows->empty() || rows->front().id != event_id) return unknown;
  json event = to_json(rows->front(), true);
  store::DeliveryFilter of_event;
  of_event.event = *seq;
  of_event.limit = kAllDeliveries;
  auto deliveries = sources_.store.deliveries(of_event);
  if (!deliveries) return deliveries.status();
  json list = json::array();
  for (const store::DeliveryRow& row : *deliveries) {
    auto delivery = with_attempts(row);
    if (!delivery) return delivery.status();
    list.push_back(std::move(*delivery));
  }
  event["deliveries"] = std::move(list);
  return event;
}

Result<json> Views::with_attempts(const store::DeliveryRow& row) const {
  auto attempts = sources_.store.attempts(row.seq);
  if (!attempts) return attempts.status();
  json delivery = to_json(row);
  json failed = json::array();
  for (const store::AttemptRow& attempt : *attempts) failed.push_back(to_json(attempt));
  delivery["failed_attempts"] = std::move(failed);
  return delivery;
}

Result<json> Views::dead(int64_t before_seq, size_t limit) const {
  store::DeliveryFilter filter;
  filter.state = "dead";
  filter.before_seq = before_seq;
  filter.limit = limit;
  auto rows = sources_.store.deliveries(filter);
  if (!rows) return rows.status();
  json list = json::array();
  for (const store::DeliveryRow& row : *rows) list.push_back(to_json(row));
  return list;
}

Result<json> Views::dead_one(int64_t delivery) const {
  store::DeliveryFilter filter;
  filter.seq = delivery;
  filter.state = "dead";
  auto rows = sources_.store.deliveries(filter);
  if (!rows) return rows.status();
  if (rows->empty()) return Status(Code::kNotFound, "no dead delivery has this number");
  auto shown = with_attempts(rows->front());
  if (!shown) return shown.status();
  auto event = this->event(rows->front().event_id);
  if (event) {
    event->erase("deliveries");
    (*shown)["of"] = std::move(*event);
  }
  return shown;
}

}  // namespace postern::admin
