#include "core/admin/admin_service.h"

#include <openssl/crypto.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

#include "core/http/target.h"
#include "core/observe/metrics.h"

namespace postern::admin {
namespace {

enum Route : http::Router::Id { kStatus, kPlugins, kRoutes, kEvents, kEvent, kDead, kDeadOne, kAlive, kHealth, kHealthOne, kMetrics,
                                kJobs, kJob, kCancelJob, kFindDead, kReplayDead, kDropDead, kFindSettled, kReplayEvents, kPruneEvents,
                                kReload, kRelease };

constexpr size_t kDefaultLimit = 50;
constexpr size_t kMaxLimit = 10'000;
constexpr uint64_t kMaxBody = 64 * 1024;

// Bytes that are not UTF-8 are replaced: the store keeps the exact ones.
std::string dump(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

http::Response to_response(const Result<nlohmann::json>& result) {
  if (result) return http::Response::json(200, dump(*result));
  int status = 503;
  if (result.status().code() == Code::kNotFound) status = 404;
  if (result.status().code() == Code::kInvalid) status = 400;
  if (result.status().code() == Code::kLimit) status = 409;
  return http::Response::error(status, result.status().message());
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

int64_t number(std::string_view query, std::string_view name, int64_t otherwise) {
  auto text = http::query_parameter(query, name);
  return text ? whole_number(*text).value_or(otherwise) : otherwise;
}

}  // namespace

struct AdminService::Call : http::Exchange::Context {
  http::Router::Id route = kAlive;
  http::PathParameters path;
};

AdminService::AdminService(net::EventLoop& loop, Worker& worker, Parts parts, std::string token, bool open_metrics)
    : loop_(loop), worker_(worker), parts_(std::move(parts)), token_(std::move(token)), open_metrics_(open_metrics) {
  constexpr struct {
    const char* path;
    Route route;
  } kPaths[] = {{"/admin/v1/status", kStatus}, {"/admin/v1/plugins", kPlugins}, {"/admin/v1/routes", kRoutes},
                {"/admin/v1/events", kEvents}, {"/admin/v1/events/{id}", kEvent}, {"/admin/v1/dead", kDead},
                {"/admin/v1/dead/{seq}", kDeadOne}, {"/health", kAlive}, {"/api/health", kHealth},
                {"/api/health/", kHealth}, {"/api/health/{name}", kHealthOne}, {"/admin/v1/jobs", kJobs},
                {"/admin/v1/jobs/{id}", kJob}, {"/metrics", kMetrics}};
  for (const auto& p : kPaths) static_cast<void>(router_.add("GET", p.path, p.route));
  constexpr struct {
    const char* path;
    Route route;
  } kActions[] = {{"/admin/v1/dead/find", kFindDead}, {"/admin/v1/dead/replay", kReplayDead}, {"/admin/v1/dead/drop", kDropDead},
                  {"/admin/v1/events/find", kFindSettled}, {"/admin/v1/events/replay", kReplayEvents},
                  {"/admin/v1/events/prune", kPruneEvents}, {"/admin/v1/jobs/{id}/cancel", kCancelJob},
                  {"/admin/v1/reload", kReload}, {"/admin/v1/plugins/{name}/release", kRelease}};
  for (const auto& p : kActions) static_cast<void>(router_.add("POST", p.path, p.route));
}

void AdminService::adopt(const std::string& token, bool open_metrics) {
  if (!token.empty()) token_ = token;
  open_metrics_ = open_metrics;
}

bool AdminService::authorized(const http::Request& head) const {
  if (token_.empty()) return true;
  auto value = head.header("authorization");
  constexpr std::string_view kBearer = "Bearer ";
  if (!value || !http::equals_ignoring_case(value->substr(0, kBearer.size()), kBearer)) return false;  // RFC 9110 §11.1
  std::string_view shown = value->substr(kBearer.size());
  return shown.size() == token_.size() && CRYPTO_memcmp(shown.data(), token_.data(), token_.size()) == 0;
}

http::Service::Admission AdminService::on_head(http::Exchange& exchange, const http::Request& head) {
  using Kind = http::Router::Match::Kind;
  bool open = open_metrics_ && head.method() == "GET" && head.path() == "/metrics";
  if (!open && !authorized(head)) {
    http::Response response = http::Response::error(401, "the admin token is required: Authorization: Bearer …");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return {true, std::move(response), 0};
  }
  http::Router::Match match = router_.match(head.method(), head.path());
  if (match.kind == Kind::kNoMethod) {
    http::Response response = http::Response::error(405, "this method is not allowed here");
    response.headers.emplace_back("Allow", match.allow);
    return {true, std::move(response), 0};
  }
  if (match.kind != Kind::kFound) return {true, http::Response::error(404, "no such admin route"), 0};
  // No page of another site can make a browser send this type without being asked first.
  bool has_body = head.method() == "POST" && match.id != kCancelJob && match.id != kReload && match.id != kRelease;
  if (has_body && head.header("content-type").value_or("").substr(0, 16) != "application/json") {
    return {true, http::Response::error(415, "the body must be application/json"), 0};
  }
  auto call = std::make_unique<Call>();
  call->route = match.id;
  call->path = std::move(match.parameters);
  exchange.context = std::move(call);
  return {false, {}, has_body ? kMaxBody : 0};
}

void AdminService::on_request(std::shared_ptr<http::Exchange> exchange) {
  bool taken = worker_.run([this, exchange] {
    auto response = std::make_shared<http::Response>(answer(static_cast<const Call&>(*exchange->context), exchange->request));
    loop_.post([exchange, response] { exchange->respond(std::move(*response)); });
  });
  if (!taken) exchange->respond(http::Response::error(503, "too many admin requests"));
}

http::Response AdminService::answer(const Call& call, const http::Request& request) const {
  std::string_view query = request.query();
  auto limit = static_cast<size_t>(std::clamp<int64_t>(number(query, "limit", kDefaultLimit), 1, kMaxLimit));
  int64_t before = number(query, "before", 0);
  switch (call.route) {
    case kStatus: {
      nlohmann::json status = parts_.views.status();
      if (auto jobs = parts_.upkeep.jobs(true)) status["jobs"] = std::move(*jobs);
      return http::Response::json(200, dump(status));
    }
    case kMetrics: {
      http::Response response;
      response.body = parts_.views.metrics();
      response.content_type = observe::kMetricsContentType;
      return response;
    }
    case kPlugins: return http::Response::json(200, dump(parts_.views.plugins()));
    case kRoutes: return http::Response::json(200, dump(parts_.views.routes()));
    case kEvents: {
      store::EventFilter filter;
      filter.before_seq = before;
      filter.limit = limit;
      filter.type = http::query_parameter(query, "type").value_or("");
      return to_response(parts_.views.events(filter));
    }
    case kEvent: return to_response(parts_.views.event(call.path.front().second));
    case kDead: return to_response(parts_.views.dead(before, limit));
    case kDeadOne: {
      auto seq = whole_number(call.path.front().second);
      return to_response(seq ? parts_.views.dead_one(*seq) : Status(Code::kNotFound, "a dead delivery is named by its number"));
    }
    case kReload: return http::Response::json(200, dump({{"reload", parts_.reload()}}));
    case kRelease: return to_response(parts_.release(call.path.front().second));
    case kAlive:
    case kHealth:
    case kHealthOne: return answer_health(call);
    default: return to_response(answer_upkeep(call, request));
  }
}

Result<nlohmann::json> AdminService::answer_upkeep(const Call& call, const http::Request& request) const {
  switch (call.route) {
    case kJobs: return parts_.upkeep.jobs(false);
    case kJob: return parts_.upkeep.job(call.path.front().second);
    case kCancelJob: return parts_.upkeep.cancel(call.path.front().second);
    case kFindDead: return parts_.upkeep.find(false, request.body());
    case kFindSettled: return parts_.upkeep.find(true, request.body());
    case kReplayDead: return parts_.upkeep.replay_dead(request.body());
    case kDropDead: return parts_.upkeep.drop_dead(request.body());
    case kReplayEvents: return parts_.upkeep.replay_events(request.body());
    default: return parts_.upkeep.prune(request.body());
  }
}

http::Response AdminService::answer_health(const Call& call) const {
  if (call.route == kAlive) return http::Response::json(200, R"({"status":"healthy"})");
  auto json = parts_.health.answer(call.path.empty() ? std::string_view() : std::string_view(call.path.front().second), true);
  return json ? http::Response::json(200, std::move(*json)) : http::Response::error(404, "no such health check");
}

}  // namespace postern::admin
