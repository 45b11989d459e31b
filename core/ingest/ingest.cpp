#include "core/ingest/ingest.h"

#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/ingest/unavailable.h"
#include "core/websocket/handshake.h"

namespace postern::ingest {
namespace {

http::Response acknowledgement(std::string_view status, std::string_view event_id, const std::string* result = nullptr) {
  std::string body;
  body.reserve(96);
  body += "{\"status\":\"";
  body += status;
  body += "\",\"event_id\":\"";
  body += event_id;
  body += '"';
  if (result != nullptr) {
    body += ",\"result\":";
    body += result->empty() ? "null" : *result;
  }
  body += '}';
  return http::Response::json(200, std::move(body));
}

Refusal to_refusal(admission::Rules::Why why) {
  switch (why) {
    case admission::Rules::Why::kAddress: return Refusal::kAddress;
    case admission::Rules::Why::kClientRate: return Refusal::kClientRate;
    case admission::Rules::Why::kRate: return Refusal::kRate;
    case admission::Rules::Why::kContentType: break;
  }
  return Refusal::kContentType;
}

}  // namespace

struct Ingest::Routed : http::Exchange::Context {
  std::shared_ptr<const Tables> tables;
  std::shared_ptr<const Route> route;  // of the tables
  http::PathParameters path;
};

struct Ingest::Pending : PendingEvent {
  std::shared_ptr<http::Exchange> exchange;
  std::shared_ptr<const Route> route;
  std::shared_ptr<Replier::Composing> composing;  // reply routes
  bool handled = false;  // somebody will handle it

  // The answer is the handler's result.
  bool awaits_result() const { return outcome == Outcome::kStored && !composing && route->wait_ms > 0 && handled; }
};

struct Ingest::Waiting {
  explicit Waiting(std::function<void()> on_deadline) : deadline(std::move(on_deadline)) {}
  std::shared_ptr<http::Exchange> exchange;
  std::string event_id;
  net::Timer deadline;
};

Ingest::Ingest(net::EventLoop& loop, Parts parts)
    : loop_(loop), parts_(std::move(parts)), checker_(loop), replier_(loop, meter_) {
  meter_.adopt(parts_.tables->routes);
}
Ingest::~Ingest() = default;

void Ingest::adopt(std::shared_ptr<const Tables> tables) {
  meter_.adopt(tables->routes);
  parts_.tables = std::move(tables);
}

void Ingest::note_refusal(const http::Exchange& exchange, int status, Refusal reason, const char* why) {
  meter_.refused(status, reason);
  uint64_t suppressed = 0;
  if (!refusals_.pass(suppressed)) return;
  log::Scope scope(exchange.request_id);
  log::info("refused", {{"status", status}, {"why", why}, {"remote", exchange.remote}, {"suppressed", suppressed}});
}

http::Service::Admission Ingest::on_head(http::Exchange& exchange, const http::Request& head) {
  using Kind = http::Router::Match::Kind;
  auto refused = [&](http::Response response, Refusal reason, const char* why) {
    note_refusal(exchange, response.status, reason, why);
    return http::Service::Admission{true, std::move(response), 0};
  };
  http::Router::Match match = parts_.tables->routes.router().match(head.method(), head.path());
  if (match.kind == Kind::kBadPath) {
    return refused(http::Response::error(400, "the path is malformed"), Refusal::kMalformed, "malformed path");
  }
  if (match.kind == Kind::kNoPath) return refused(http::Response::error(404, "no such route"), Refusal::kNoRoute, "no such route");
  if (match.kind == Kind::kNoMethod) {
    http::Response response = http::Response::error(405, "this method is not allowed here");
    response.headers.emplace_back("Allow", match.allow);
    return refused(std::move(response), Refusal::kNoMethod, "no such method");
  }
  const Route& route = parts_.tables->routes.route(match.id);
  if (auto unfit = route.rules.refuse(head, exchange.remote, steady_us())) {
    return refused(std::move(unfit->response), to_refusal(unfit->why), "admission");
  }
  if (draining_) return refused(unavailable("the gateway is about to stop"), Refusal::kDraining, "draining");
  Status accepting = route.stores() ? parts_.sink.accepting() : Status::ok();
  if (!accepting) return refused(unavailable("cannot take events now"), Refusal::kNoRoom, "no room");

  auto routed = std::make_unique<Routed>();
  routed->tables = parts_.tables;
  routed->route = {parts_.tables, &route};
  routed->path = std::move(match.parameters);
  exchange.context = std::move(routed);
  return {false, {}, route.max_body};
}

// For schemes that sign the URL, and for the plugin that composes an answer.
std::vector<std::string> Ingest::urls_of(const http::Exchange& exchange) {
  const Tables& tables = *static_cast<const Routed&>(*exchange.context).tables;
  return admission::public_urls(exchange.request, exchange.peer, tables.url_source);
}

void Ingest::on_request(std::shared_ptr<http::Exchange> exchange) {
  const Route& route = *static_cast<Routed&>(*exchange->context).route;
  if (route.schemes.empty()) return on_verified(std::move(exchange), nullptr);
  auto use = std::find_if(route.schemes.begin(), route.schemes.end(),
                          [&](const Route::SchemeUse& u) { return u.scheme->applies_to(exchange->request); });
  if (use == route.schemes.end()) return on_verdict(std::move(exchange), nullptr, signature::Verdict::kMissing);
  const signature::Scheme* scheme = use->scheme.get();
  if (!scheme->runs_plugin()) {
    signature::Verdict verdict = scheme->verify({exchange->request, wall_ms(), {}, exchange->remote}, nullptr);
    return on_verdict(std::move(exchange), scheme, verdict);
  }
  std::vector<std::string> urls = urls_of(*exchange);
  std::shared_ptr<const Route> shared = static_cast<Routed&>(*exchange->context).route;
  checker_.check(std::move(exchange), std::move(shared), *use, std::move(urls),
                 [this, scheme](std::shared_ptr<http::Exchange> checked, std::optional<signature::Verdict> verdict) {
                   on_verdict(std::move(checked), scheme, verdict.value_or(signature::Verdict::kUnknown));
                 });
}

void Ingest::on_verdict(std::shared_ptr<http::Exchange> exchange, const signature::Scheme* scheme, signature::Verdict verdict) {
  if (verdict == signature::Verdict::kAccepted) return on_verified(std::move(exchange), scheme);
  const Route& route = *static_cast<Routed&>(*exchange->context).route;
  bool unknown = verdict == signature::Verdict::kUnknown;
  note_refusal(*exchange, unknown ? 503 : route.reject_status, to_refusal(verdict), signature::to_text(verdict));
  exchange->respond(unknown ? unavailable("the signature could not be checked")
                            : http::Response::error(route.reject_status, "the signature is not valid"));
}

void Ingest::on_verified(std::shared_ptr<http::Exchange> exchange, const signature::Scheme* scheme) {
  auto& routed = static_cast<Routed&>(*exchange->context);
  const Route& route = *routed.route;
  if (auto late = route.rules.refuse_verified(steady_us())) {
    note_refusal(*exchange, late->response.status, to_refusal(late->why), "admission");
    return exchange->respond(std::move(late->response));
  }
  if (route.kind == Route::Kind::kWebsocket) return ask_for_session(std::move(exchange));
  auto event = identify(route, scheme, exchange->request, routed.path, parser_);
  if (!event) {
    note_refusal(*exchange, 422, Refusal::kBody, "the body is not what the route needs");
    return exchange->respond(http::Response::error(422, event.status().message()));
  }
  meter_.received(route.provider, routed.tables->targets.types().match(route.provider, event->type));
  if (route.kind == Route::Kind::kReply) return reply(std::move(exchange), std::move(*event));
  event->body = std::move(exchange->request.mutable_body());
  auto pending = make_pending(std::move(*event), *exchange);
  pending->exchange = std::move(exchange);
  parts_.sink.submit(std::move(pending));
}

std::unique_ptr<Ingest::Pending> Ingest::make_pending(NewEvent event, const http::Exchange& exchange) {
  const auto& routed = static_cast<const Routed&>(*exchange.context);
  const Route& route = *routed.route;
  auto pending = std::make_unique<Pending>();
  pending->event = std::move(event);
  pending->event.received_at = wall_ms();
  pending->event.remote = exchange.remote;
  int64_t window_ms = route.dedupe_window_ms != 0 ? route.dedupe_window_ms : routed.tables->dedupe_window_ms;
  pending->event.dedupe_until = pending->event.received_at + window_ms;
  pending->event.targets = routed.tables->targets.match(pending->event);
  pending->handled = !pending->event.targets->empty();
  pending->observer = this;
  pending->route = routed.route;
  return pending;
}

// What is no handshake is refused before the plugin is asked.
void Ingest::ask_for_session(std::shared_ptr<http::Exchange> exchange) {
  auto refusal = websocket::accept(exchange->request, {}, exchange->request_id).refusal;
  if (refusal) {
    note_refusal(*exchange, refusal->status, Refusal::kMalformed, "no WebSocket's handshake");
    return exchange->respond(std::move(*refusal));
  }
  auto& routed = static_cast<Routed&>(*exchange->context);
  std::vector<std::string> urls = urls_of(*exchange);
  replier_.compose(std::move(exchange), routed.route, std::move(routed.path), std::move(urls), false);
}

// The plugin composes and the store commits at the same time; the answer waits for both.
void Ingest::reply(std::shared_ptr<http::Exchange> exchange, NewEvent event) {
  auto& routed = static_cast<Routed&>(*exchange->context);
  const Route& route = *routed.route;
  std::unique_ptr<Pending> pending;
  if (route.recorded) {
    event.body = exchange->request.body();  // the plugin needs its own
    pending = make_pending(std::move(event), *exchange);
  }
  std::vector<std::string> urls = urls_of(*exchange);
  auto composing = replier_.compose(std::move(exchange), routed.route, std::move(routed.path), std::move(urls), route.recorded);
  if (!pending || !composing) return;
  pending->composing = std::move(composing);
  parts_.sink.submit(std::move(pending));
}

void Ingest::on_committed(std::vector<std::unique_ptr<PendingEvent>> events) {
  for (auto& event : events) {
    auto& pending = static_cast<Pending&>(*event);
    if (!pending.awaits_result()) continue;
    // Here, before the dispatcher learns of the event, so that no result can come too early.
    parts_.results.await(pending.seq, [this, seq = pending.seq](std::optional<std::string> result) {
      loop_.post([this, seq, result = std::move(result)] { on_result(seq, result); });
    });
  }
  // A std::function must be copyable: the batch travels in a shared box.
  auto box = std::make_shared<std::vector<std::unique_ptr<PendingEvent>>>(std::move(events));
  loop_.post([this, box] {
    for (auto& event : *box) {
      std::unique_ptr<Pending> pending(static_cast<Pending*>(event.release()));
      bool awaited = pending->awaits_result();
      if (awaited && draining_) parts_.results.forget(pending->seq);
      awaited && !draining_ ? wait_for_result(std::move(pending)) : acknowledge(*pending);
    }
  });
}

void Ingest::start_draining() {
  refuse_new_events();
  while (!waiting_.empty()) {
    int64_t seq = waiting_.begin()->first;
    parts_.results.forget(seq);
    on_result(seq, std::nullopt);
  }
}

void Ingest::end_calls() {
  checker_.end();
  replier_.end();
}

void Ingest::acknowledge(Pending& pending) {
  if (pending.composing) return replier_.on_recorded(pending.composing, pending.outcome != Outcome::kFailed);
  switch (pending.outcome) {
    case Outcome::kStored: return pending.exchange->respond(acknowledgement("queued", pending.event_id));
    case Outcome::kDuplicate: return pending.exchange->respond(acknowledgement("duplicate_ignored", pending.event_id));
    case Outcome::kFailed:
      meter_.refused(503, Refusal::kNotStored);
      return pending.exchange->respond(unavailable("the event could not be stored"));
  }
}

void Ingest::wait_for_result(std::unique_ptr<Pending> pending) {
  int64_t seq = pending->seq;
  auto waiting = std::make_unique<Waiting>([this, seq] {
    parts_.results.forget(seq);
    on_result(seq, std::nullopt);
  });
  waiting->exchange = std::move(pending->exchange);
  waiting->event_id = std::move(pending->event_id);
  loop_.timers().arm(waiting->deadline, loop_.now_ms() + pending->route->wait_ms);
  waiting_[seq] = std::move(waiting);
}

// Without a result (too late, or the handler failed) the event is safe all the same: queued.
void Ingest::on_result(int64_t event_seq, const std::optional<std::string>& result) {
  auto found = waiting_.find(event_seq);
  if (found == waiting_.end()) return;
  std::unique_ptr<Waiting> waiting = std::move(found->second);
  waiting_.erase(found);
  const std::string* text = result ? &*result : nullptr;
  waiting->exchange->respond(acknowledgement(result ? "processed" : "queued", waiting->event_id, text));
}

}  // namespace postern::ingest
