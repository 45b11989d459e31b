// probe: a plugin for the tests of the gateway's life. An event says itself what its handler shall do with it:
//
//   POST /probe   {"id": "a", "type": "x", "key": "k", "do": "done"}
//
//   done         append the id to the record order/KEY (a JSON array; order/RECORD with "record": "RECORD"), answer with it as
//                result
//   retry        fail, at every attempt
//   retry_once   fail at the first attempt, then as done
//   dead         fail for good
//   mend         fail for good as long as there is no file FILE ("file": "FILE"), then as done
//   throw        let an exception out, which no plugin may, at every attempt
//   pending      complete later, from a thread of its own
//   lost         pending and never completed, if it arrived in this life of the gateway; in the next, as done
//   emit         a follow-on event, "probe.followed", with "timer" a durable timer as well, and then as done
//   hang         hold the worker for MS milliseconds at every attempt ("ms": "500"), then as done
//   crash        end the gateway, and then as done where it has not: see crash() in probe.h ("how": "segv", "once": FILE)
//   block        make the file FILE.began and hold the worker until FILE exists ("file": "FILE"), then as done
//   call         GET the path URL of the upstream, and end as its answer says ("url": "/a?b")
//   call_later   the same without waiting for it: pending meanwhile
//   set_timer    set the durable timer NAME, and then as done ("timer": "NAME", "ms": "500"); "timer_type": another type than
//                "probe.timer", "size": the bytes of its body. When it fires, the id "fired NAME" is appended to "record"
//   remove_timer  remove it, and then as done ("timer": "NAME")
//   start_timer  a timer in memory that makes FILE ("ms": "500", "file": "FILE"), and then as done; "throw": "yes": its callback lets an
//                exception out; "cancel": "yes": cancel it again
//   wait_timer   pending until a timer in memory completes it ("ms": "500")
//   service      call the METHOD of the service ("method": "echo") with the id, and be done with its answer, or dead with its error;
//                "request": with that, where ' stands for "
//
// A subscription's handler appends the provider's id of the event to the record order/INTO (`with: {into: INTO}`).
// What it replies, and its signature scheme: replies.cpp; what it publishes by itself, and its WebSockets: published.cpp; its services: services.cpp. `config: {prefix: /other}` puts
// another one before its paths than /probe, so that a gateway can have several instances; `config: {upstream: URL}` names
// whom it calls.
//
// It is written against the C ABI alone.
#include "probe.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace probe {

std::string member(std::string_view json, const std::string& name) {
  const std::string mark = "\"" + name + "\":\"";
  const size_t at = json.find(mark);
  if (at == std::string_view::npos) return "";
  const size_t begin = at + mark.size();
  return std::string(json.substr(begin, json.find('"', begin) - begin));
}

postern_status fail(postern_instance* self, std::string_view why, postern_status status) {
  self->api->set_error(self->host, str(why));
  return status;
}

// It cannot be called back: what a handler does that hangs.
void block_until_there(const std::string& file) {
  std::ofstream(file + ".began") << "began";
  while (!std::filesystem::exists(file)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace probe

namespace {

using namespace probe;

// Reads and writes with a version: two deliveries at once must not lose one of the ids.
postern_status append_to(postern_instance* self, postern_delivery* delivery, postern_str record,
                         const std::string& id) {
  postern_str json{};
  uint64_t version = POSTERN_RECORD_ABSENT;
  const postern_status got = self->records->get(delivery, str("order"), record, &json, &version);
  if (got != POSTERN_OK && got != POSTERN_E_NOT_FOUND) return got;
  std::string value = got == POSTERN_OK ? std::string(view(json)) : "[]";
  value.pop_back();
  value += (value.size() > 1 ? ",\"" : "\"") + id + "\"]";
  const postern_status put = self->records->put(delivery, str("order"), record, str(value), version);
  if (put != POSTERN_OK) return put;
  return self->events->set_result(delivery, str("{\"seen\":\"" + id + "\"}"));
}

postern_status append_to_order(postern_instance* self, postern_delivery* delivery, const std::string& id) {
  const std::string record = member(view(self->http->body(self->events->request(delivery))), "record");
  const postern_str key = record.empty() ? self->events->order_key(delivery) : str(record);
  return append_to(self, delivery, key.len == 0 ? str("none") : key, id);
}

void complete_later(postern_instance* self, postern_delivery* delivery, const std::string& id) {
  const std::lock_guard lock(self->mutex);
  self->threads.emplace_back([self, delivery, id] {
    const postern_status status = append_to_order(self, delivery, id);
    self->events->complete(delivery, status == POSTERN_OK ? POSTERN_OK : POSTERN_RETRY, str("probe"));
  });
}

postern_status handle_subscription(postern_instance* self, void*, postern_delivery* delivery) {
  const std::string into = member(view(self->events->with(delivery)), "into");
  if (into.empty()) return fail(self, "no `into` in the subscription's `with`", POSTERN_DEAD);
  return append_to(self, delivery, str(into), std::string(view(self->events->external_id(delivery))));
}

// Of the plugin's own subscription, to what its configuration calls `watch`.
postern_status handle_watched(postern_instance* self, void*, postern_delivery* delivery) {
  return append_to(self, delivery, str("watched"), std::string(view(self->events->external_id(delivery))));
}

constexpr postern_str kAsked[] = {str("done"), str("dead"), str("other")};

void count(postern_instance* self, const std::string& what, size_t body_bytes) {
  size_t series = 0;
  while (series + 1 < std::size(kAsked) && what != view(kAsked[series])) ++series;
  self->metrics->count(self->runs, series, 1);
  self->metrics->observe(self->body_size, 0, static_cast<double>(body_bytes));
}

postern_status add_metrics(postern_instance* self) {
  static constexpr postern_str kLabel = str("asked");
  postern_metric_desc runs{};
  runs.struct_size = sizeof runs;
  runs.kind = POSTERN_METRIC_COUNTER;
  runs.name = str("runs_total");
  runs.help = str("Runs of the handler, by what they were asked to do.");
  runs.labels = &kLabel;
  runs.labels_len = 1;
  runs.values = kAsked;
  runs.series_len = std::size(kAsked);
  const postern_status added = self->metrics->add(self->host, &runs, &self->runs);
  if (added != POSTERN_OK) return added;
  static constexpr double kBuckets[] = {64, 1024};
  postern_metric_desc size{};
  size.struct_size = sizeof size;
  size.kind = POSTERN_METRIC_HISTOGRAM;
  size.name = str("body_bytes");
  size.help = str("Sizes of handled bodies.");
  size.buckets = kBuckets;
  size.buckets_len = std::size(kBuckets);
  return self->metrics->add(self->host, &size, &self->body_size);
}

// In the callback of a request: the delivery ends as the answer says, with its body as the result.
struct Asked {
  postern_delivery* delivery;
  bool later;
  postern_status outcome;
};

void on_answer(postern_instance* self, void* user, const postern_client_response* response) {
  auto* asked = static_cast<Asked*>(user);
  asked->outcome = self->client->verdict(response);
  if (asked->outcome == POSTERN_OK) self->events->set_result(asked->delivery, self->client->body(response));
  if (self->client->retry_after_ms(response) > 0) self->events->retry_after(asked->delivery, self->client->retry_after_ms(response));
  if (!asked->later) return self->api->set_error(self->host, self->client->error(response));
  self->events->complete(asked->delivery, asked->outcome, self->client->error(response));
  delete asked;
}

postern_status call_outside(postern_instance* self, postern_delivery* delivery, const std::string& url, bool later) {
  postern_client_request request{};
  request.struct_size = sizeof request;
  request.upstream = self->upstream;
  request.url = str(url);
  request.delivery = delivery;
  if (later) {
    auto* asked = new Asked{delivery, true, POSTERN_OK};
    const postern_status sent = self->client->send(self->host, &request, on_answer, asked, nullptr);
    if (sent == POSTERN_OK) return POSTERN_PENDING;
    delete asked;
    return sent;
  }
  Asked asked{delivery, false, POSTERN_OK};
  const postern_status called = self->client->call(self->host, &request, on_answer, &asked);
  return called == POSTERN_OK ? asked.outcome : called;
}

postern_status handle(postern_instance* self, void*, postern_delivery* delivery) {
  const std::string_view body = view(self->http->body(self->events->request(delivery)));
  const std::string what = member(body, "do");
  count(self, what, body.size());
  const std::string id = member(body, "id");
  const bool first = self->events->attempt(delivery) == 1;
  if (what == "retry" || (what == "retry_once" && first)) return fail(self, "asked to retry", POSTERN_RETRY);
  if (what == "dead") return fail(self, "asked to die", POSTERN_DEAD);
  if (what == "mend" && !std::filesystem::exists(member(body, "file"))) return fail(self, "not mended yet", POSTERN_DEAD);
  if (what == "throw") throw std::runtime_error("asked to throw");
  if (what == "lost" && self->events->received_at(delivery) >= self->activated_ms) return POSTERN_PENDING;
  if (what == "pending") {
    complete_later(self, delivery, id);
    return POSTERN_PENDING;
  }
  if (what == "call" || what == "call_later") return call_outside(self, delivery, member(body, "url"), what == "call_later");
  if (what == "wait_timer") {
    const postern_status waits = start_timer(self, delivery, body, true);
    return waits == POSTERN_OK ? POSTERN_PENDING : waits;
  }
  postern_status timed = POSTERN_OK;
  if (what == "set_timer" || (what == "emit" && !member(body, "timer").empty())) timed = set_timer(self, delivery, body);
  if (what == "remove_timer") timed = self->timers->remove(delivery, str(member(body, "timer")));
  if (what == "start_timer") timed = start_timer(self, delivery, body, false);
  if (timed != POSTERN_OK) return timed;
  if (what == "service") {
    std::string request = member(body, "request");
    std::replace(request.begin(), request.end(), '\'', '"');
    return call_service(self, delivery, member(body, "method"), request.empty() ? id : request);
  }
  if (what == "hang") std::this_thread::sleep_for(std::chrono::milliseconds(std::stoll(member(body, "ms"))));
  if (what == "crash") crash(body);
  if (what == "block") block_until_there(member(body, "file"));
  if (what == "emit") {
    const std::string follow = R"({"id":"follow-)" + id + R"(","do":"done"})";
    const postern_status emitted = self->events->emit(delivery, str("probe.followed"), str(follow));
    if (emitted != POSTERN_OK) return emitted;
  }
  return append_to_order(self, delivery, id);
}

template <typename Extension>
bool find(postern_instance* self, std::string_view id, const Extension*& extension) {
  extension = static_cast<const Extension*>(self->api->get_extension(self->host, str(id)));
  return extension != nullptr;
}

postern_status init(postern_instance* self, postern_str config_json) {
  if (!find(self, POSTERN_EXT_EVENTS, self->events) || !find(self, POSTERN_EXT_HTTP, self->http) ||
      !find(self, POSTERN_EXT_RECORDS, self->records) || !find(self, POSTERN_EXT_ROUTES, self->routes) ||
      !find(self, POSTERN_EXT_SCHEMES, self->schemes) || !find(self, POSTERN_EXT_METRICS, self->metrics) ||
      !find(self, POSTERN_EXT_TIMERS, self->timers) || !find(self, POSTERN_EXT_WEBSOCKET, self->websocket)) {
    return fail(self, "an extension is missing", POSTERN_E_UNSUPPORTED);
  }
  const postern_status metrics = add_metrics(self);
  if (metrics != POSTERN_OK) return metrics;
  const postern_status timers = add_timers(self);
  if (timers != POSTERN_OK) return timers;
  const std::string upstream_url = member(view(config_json), "upstream");
  if (!upstream_url.empty()) {
    if (!find(self, POSTERN_EXT_CLIENT, self->client)) return fail(self, "postern.client/1 is missing", POSTERN_E_UNSUPPORTED);
    postern_upstream_desc upstream{};
    upstream.struct_size = sizeof upstream;
    upstream.name = str("outside");
    upstream.base_url = str(upstream_url);
    upstream.attempts = 1;
    upstream.breaker_failures = 3;
    const postern_status known = self->client->add_upstream(self->host, &upstream, &self->upstream);
    if (known != POSTERN_OK) return known;
  }
  const postern_status services = add_services(self, view(config_json));
  if (services != POSTERN_OK) return services;
  std::string prefix = member(view(config_json), "prefix");
  if (prefix.empty()) prefix = "/probe";
  postern_route_desc route{};
  route.struct_size = sizeof route;
  route.kind = POSTERN_ROUTE_EVENT;
  route.method = str("POST");
  route.path = str(prefix);
  route.content_types = str("application/json");
  route.type_from = str("json:/type");
  route.order_key_from = str("json:/key");
  route.required = str("json:/id");
  route.unsigned_id_from = str("json:/id");
  route.flags = POSTERN_ROUTE_UNSIGNED;
  const postern_status added = self->routes->add(self->host, &route);
  if (added != POSTERN_OK) return added;
  const postern_status replies = add_replies(self, prefix, member(view(config_json), "foreign"));
  if (replies != POSTERN_OK) return replies;
  const postern_status sessions = add_session(self, prefix);
  if (sessions != POSTERN_OK) return sessions;
  const std::string watched = member(view(config_json), "watch");
  if (!watched.empty()) {
    const postern_status watches = self->events->subscribe(self->host, str("watch"), str(watched), handle_watched, nullptr);
    if (watches != POSTERN_OK) return watches;
  }
  const postern_status handled = self->events->on(self->host, str("*"), handle, nullptr);
  return handled == POSTERN_OK ? self->events->on_subscription(self->host, handle_subscription, nullptr) : handled;
}

postern_status activate(postern_instance* self) {
  using namespace std::chrono;
  self->activated_ms = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  return POSTERN_OK;
}

void deactivate(postern_instance* self, uint32_t) {
  const std::lock_guard lock(self->mutex);
  for (auto& thread : self->threads) thread.join();
  self->threads.clear();
}

void destroy(postern_instance* self) {
  deactivate(self, 0);
  delete self;
}

const void* get_extension(postern_instance*, postern_str) { return nullptr; }

const postern_plugin kPlugin = {sizeof(postern_plugin), 0, init, activate, deactivate, destroy, get_extension};

postern_status create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin,
                      postern_instance** instance) {
  *instance = new postern_instance;
  (*instance)->api = api;
  (*instance)->host = host;
  *plugin = &kPlugin;
  return POSTERN_OK;
}

constexpr postern_str kRequired[] = {str(POSTERN_EXT_EVENTS), str(POSTERN_EXT_HTTP),   str(POSTERN_EXT_RECORDS),
                                     str(POSTERN_EXT_ROUTES), str(POSTERN_EXT_SCHEMES), str(POSTERN_EXT_METRICS),
                                     str(POSTERN_EXT_TIMERS)};

}  // namespace

extern "C" POSTERN_EXPORT const postern_plugin_entry postern_entry = {sizeof(postern_plugin_entry),
                                                                      POSTERN_ABI_MAJOR,
                                                                      POSTERN_ABI_MINOR,
                                                                      0,
                                                                      str("probe"),
                                                                      str("0.1.0"),
                                                                      str("probe-build-1"),
                                                                      kRequired,
                                                                      std::size(kRequired),
                                                                      create};
