#include <map>
#include <nlohmann/json.hpp>

#include "core/gateway/gateway.h"

namespace postern::gateway {

using nlohmann::json;

namespace {

json describe_wishes(const plugin::Registrations& registered) {
  json list = json::array();
  for (const plugin::ServiceWish& wish : registered.wishes) {
    list.push_back({{"service", wish.name},
                    {"required", wish.required},
                    {"plugin", wish.service ? json(wish.service->plugin()) : json(nullptr)}});
  }
  return list;
}

}  // namespace

json describe_plugins(const Assembly& assembly) {
  json list = json::array();
  for (const auto& instance : assembly.instances()) {
    const plugin::Registrations& registered = instance->registrations();
    json handlers = json::array(), samples = json::array(), schemes = json::array(), services = json::array(), upstreams = json::array();
    for (const auto& handler : registered.handlers) handlers.push_back(handler.glob);
    for (const auto& sample : registered.samples) samples.push_back(sample.name);
    for (const auto& scheme : registered.schemes) schemes.push_back(scheme->name());
    for (const auto& service : registered.services) services.push_back(service->name());
    for (const auto& upstream : instance->client().upstreams()) upstreams.push_back(upstream.name);
    list.push_back({{"name", instance->name()},
                    {"id", instance->library().id()},
                    {"version", instance->library().version()},
                    {"build_id", instance->library().build_id()},
                    {"library", instance->library().path()},
                    {"routes", registered.routes.size()},
                    {"handlers", handlers},
                    {"schemes", schemes},
                    {"samples", samples},
                    {"services", services},
                    {"wants_services", describe_wishes(registered)},
                    {"upstreams", upstreams},
                    {"takes_subscriptions", registered.subscription.function != nullptr}});
  }
  return list;
}

json describe_routes(const Assembly& assembly) {
  json list = json::array();
  for (const auto& route : assembly.routes().routes()) {
    json schemes = json::array();
    for (const auto& use : route->schemes) schemes.push_back(use.scheme->name());
    list.push_back({{"method", route->method},
                    {"path", route->path},
                    {"kind", route->kind == ingest::Route::Kind::kReply ? "reply" : "event"},
                    {"plugin", route->provider},
                    {"schemes", schemes},
                    {"content_types", route->rules.content_types},
                    {"max_body", route->max_body},
                    {"wait_ms", route->wait_ms},
                    {"deadline_ms", route->kind == ingest::Route::Kind::kReply ? json(route->deadline_ms) : json(nullptr)},
                    {"recorded", route->stores()},
                    {"dedupe_window_ms", route->dedupe_window_ms != 0 ? json(route->dedupe_window_ms) : json(nullptr)},
                    {"reject_status", route->reject_status}});
  }
  return list;
}

json describe_upstreams(const std::vector<client::UpstreamStatus>& upstreams) {
  json list = json::array();
  for (const client::UpstreamStatus& u : upstreams) {
    json ended;
    for (size_t kind = 0; kind < u.ended.size(); ++kind) ended[client::to_text(static_cast<client::Outcome::Kind>(kind))] = u.ended[kind];
    list.push_back({{"plugin", u.plugin}, {"upstream", u.name}, {"requests", u.requests}, {"attempts", u.attempts},
                    {"retries", u.retries}, {"ended", ended}, {"breaker", u.breaker}, {"opens", u.opens}, {"failures", u.failures},
                    {"next_trial_at", u.next_trial_at == 0 ? json(nullptr) : json(u.next_trial_at)},
                    {"in_flight", u.in_flight}, {"waiting", u.waiting},
                    {"last_error", u.last_error.empty() ? json(nullptr) : json(u.last_error)},
                    {"last_error_at", u.last_error_at == 0 ? json(nullptr) : json(u.last_error_at)}});
  }
  return list;
}

// Of plugins that have some, those too that the configuration no longer has.
json describe_timers(std::map<std::string, uint64_t> durable, const Assembly& assembly) {
  json list = json::array();
  for (const auto& instance : assembly.instances()) {
    auto own = durable.extract(instance->name());
    uint64_t waiting = own.empty() ? 0 : own.mapped();
    size_t in_memory = instance->timers().waiting();
    if (waiting == 0 && in_memory == 0) continue;
    list.push_back({{"plugin", instance->name()}, {"waiting", waiting}, {"in_memory", in_memory}, {"configured", true}});
  }
  for (const auto& [plugin, waiting] : durable) {
    list.push_back({{"plugin", plugin}, {"waiting", waiting}, {"in_memory", 0}, {"configured", false}});
  }
  return list;
}

}  // namespace postern::gateway
