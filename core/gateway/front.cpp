#include "core/gateway/front.h"

#include "core/admission/client_address.h"
#include "core/admission/rules.h"
#include "core/base/clock.h"

namespace postern::gateway {
namespace {

constexpr std::string_view kAlive = "/health";
constexpr std::string_view kHealth = "/api/health";

bool is_health(std::string_view path) {
  if (path == kAlive || path == kHealth) return true;
  return path.starts_with(kHealth) && path[kHealth.size()] == '/';
}

std::shared_ptr<const ingest::Ingest::Tables> tables_of(const std::shared_ptr<const Generation>& generation) {
  return {generation, generation->tables.get()};
}

}  // namespace

Front::Front(net::EventLoop& loop, const observe::HealthBoard& health, std::shared_ptr<const Generation> generation,
             ingest::EventSink& sink, ingest::ResultBoard& results)
    : health_(health), generation_(std::move(generation)), ingest_(loop, {tables_of(generation_), sink, results}) {}

void Front::adopt(std::shared_ptr<const Generation> generation) {
  ingest_.adopt(tables_of(generation));
  generation_ = std::move(generation);
}

// Before it is looked at where the request leads: whoever tries paths is counted too.
std::optional<http::Response> Front::refuse_client(const http::Exchange& exchange) {
  if (!generation_->rate_per_client) return std::nullopt;
  int64_t seconds = generation_->rate_per_client->take(exchange.remote, steady_us());
  if (seconds == 0) return std::nullopt;
  ingest_.meter().refused(429, ingest::Refusal::kClientRate);
  uint64_t suppressed = 0;
  if (too_often_.pass(suppressed)) {
    log::Scope scope(exchange.request_id);
    log::info("refused", {{"status", 429}, {"why", "client rate"}, {"remote", exchange.remote}, {"suppressed", suppressed}});
  }
  return admission::too_many_requests(seconds);
}

// Attack: a handshake costs as much as ten requests, and whoever ends the connection then has asked for nothing.
bool Front::may_shake_hands(const std::string& peer) {
  admission::ClientRate* rate = generation_->tls_connections_per_client.get();
  return rate == nullptr || rate->take(peer, steady_us()) == 0;
}

void Front::turned_away(ingest::Refusal reason, const std::string& peer) {
  ingest_.meter().refused(503, reason);
  uint64_t suppressed = 0;
  if (!turned_away_.pass(suppressed)) return;
  log::warn("connection refused", {{"why", ingest::to_text(reason)}, {"remote", peer}, {"suppressed", suppressed}});
}

// Nobody could read an answer, so there is no status.
void Front::bad_start(net::BadStart how) {
  constexpr int kUnanswered = 0;
  switch (how) {
    case net::BadStart::kHandshake: return ingest_.meter().refused(kUnanswered, ingest::Refusal::kHandshake);
    case net::BadStart::kProxyHeader: return ingest_.meter().refused(kUnanswered, ingest::Refusal::kProxyHeader);
    case net::BadStart::kUntrustedProxy: return ingest_.meter().refused(kUnanswered, ingest::Refusal::kUntrustedProxy);
  }
}

// A request without a context is one for health; ingest always leaves one.
http::Service::Admission Front::on_head(http::Exchange& exchange, const http::Request& head) {
  exchange.remote = admission::client_address(head, exchange.remote, generation_->url_source.trusted_proxies);
  if (auto refused = refuse_client(exchange)) return {true, std::move(*refused), 0};
  if (!is_health(head.path())) return ingest_.on_head(exchange, head);
  if (head.method() == "GET" || head.method() == "HEAD") return {false, {}, 0};
  http::Response response = http::Response::error(405, "this method is not allowed here");
  response.headers.emplace_back("Allow", "GET, HEAD");
  ingest_.meter().refused(405, ingest::Refusal::kNoMethod);
  return {true, std::move(response), 0};
}

void Front::on_request(std::shared_ptr<http::Exchange> exchange) {
  if (exchange->context) return ingest_.on_request(std::move(exchange));
  std::string_view path = exchange->request.path();
  if (path == kAlive) return exchange->respond(http::Response::json(200, R"({"status":"healthy"})"));
  std::string_view name = path.substr(kHealth.size());
  while (name.starts_with('/')) name.remove_prefix(1);
  bool details = generation_->details_for.contains(exchange->remote);
  auto json = health_.answer(name, details);
  exchange->respond(json ? http::Response::json(200, std::move(*json)) : http::Response::error(404, "no such health check"));
}

void Front::on_malformed(const http::Exchange& exchange, int status, const char* why) {
  ingest_.meter().malformed(status);
  uint64_t suppressed = 0;
  if (!malformed_.pass(suppressed)) return;
  log::Scope scope(exchange.request_id);
  log::info("refused", {{"status", status}, {"why", why}, {"remote", exchange.remote}, {"suppressed", suppressed}});
}

}  // namespace postern::gateway
