// What the admin API and the command line show of a gateway.
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <map>

#include "core/base/version.h"
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

// Of plugins that have crashed.
json describe_standings(const Assembly& assembly) {
  json list = json::array();
  for (const plugin::Standing& s : assembly.standings()) {
    if (s.all == 0) continue;
    list.push_back({{"plugin", s.plugin}, {"build", s.build}, {"crashes", s.crashes}, {"all_crashes", s.all},
                    {"last_crash_at", s.last_at}, {"last_crash", s.last},
                    {"quarantined_until", s.held_until == 0 ? json(nullptr) : json(s.held_until)}});
  }
  return list;
}

json describe_plugins(const Assembly& assembly) {
  json list = json::array();
  const json standings = describe_standings(assembly);
  for (const auto& instance : assembly.instances()) {
    const plugin::Registrations& registered = instance->registrations();
    json handlers = json::array(), subscriptions = json::array(), samples = json::array();
    json schemes = json::array(), services = json::array(), upstreams = json::array();
    for (const auto& handler : registered.handlers) handlers.push_back(handler.glob);
    for (const auto& own : registered.own_subscriptions) subscriptions.push_back(own.handler.glob);
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
                    {"subscribes_to", subscriptions},
                    {"schemes", schemes},
                    {"samples", samples},
                    {"services", services},
                    {"wants_services", describe_wishes(registered)},
                    {"upstreams", upstreams},
                    {"takes_subscriptions", registered.subscription.function != nullptr}});
    json& last = list.back();
    last["crashes"] = 0;
    last["quarantined_until"] = nullptr;
    for (const json& standing : standings) {
      if (standing["plugin"] == instance->name()) last.update(standing);
    }
    last.erase("plugin");
  }
  return list;
}

const char* kind_of(const ingest::Route& route) {
  switch (route.kind) {
    case ingest::Route::Kind::kEvent: return "event";
    case ingest::Route::Kind::kReply: return "reply";
    case ingest::Route::Kind::kWebsocket: break;
  }
  return "websocket";
}

json describe_routes(const Assembly& assembly) {
  json list = json::array();
  for (const auto& route : assembly.routes().routes()) {
    json schemes = json::array();
    for (const auto& use : route->schemes) schemes.push_back(use.label());
    list.push_back({{"method", route->method},
                    {"path", route->path},
                    {"kind", kind_of(*route)},
                    {"plugin", route->provider},
                    {"schemes", schemes},
                    {"content_types", route->rules.content_types},
                    {"max_body", route->max_body},
                    {"wait_ms", route->wait_ms},
                    {"deadline_ms", route->asks_plugin() ? json(route->deadline_ms) : json(nullptr)},
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

// Of the configuration that runs, and of those before in which something is still under way.
json Gateway::describe_all_plugins() const {
  json list = json::array();
  uint64_t current = generations_.current()->number;
  for (const auto& generation : generations_.all()) {
    bool coming = generation->number > current;
    for (json& plugin : describe_plugins(*generation->assembly)) {
      plugin["generation"] = generation->number;
      plugin["state"] = generation->number == current ? "active" : coming ? "coming" : "ending";
      list.push_back(std::move(plugin));
    }
  }
  return list;
}

json Gateway::describe_reload() const {
  Reloader::Last last = reloader_->last();
  json generations = json::array();
  for (const auto& generation : generations_.all()) generations.push_back({{"number", generation->number}, {"since", generation->since}});
  return {{"number", last.number},
          {"under_way", last.under_way == 0 ? json(nullptr) : json(last.under_way)},
          {"at", last.number == 0 ? json(nullptr) : json(last.at)},
          {"error", last.error.empty() ? json(nullptr) : json(last.error)},
          {"generation", generations_.current()->number},
          {"generations", generations},
          {"needs_restart", needing_restart(config_, generations_.current()->config)}};
}

json Gateway::describe() const {
  const std::shared_ptr<const Generation> generation = generations_.current();
  size_t connections = 0;
  for (const auto& loop : loops_) connections += loop->front->connections().size();
  json plugins = json::array(), calls = json::array();
  for (const auto& instance : generation->assembly->instances()) plugins.push_back(instance->name());
  for (const auto& [plugin, purpose, pool] : generation->assembly->call_threads()) {
    ingest::CallPool::Status s = pool->status();
    calls.push_back(
        {{"plugin", plugin}, {"purpose", purpose}, {"threads", s.threads}, {"busy", s.busy}, {"stuck", s.stuck}, {"waiting", s.waiting}});
  }
  return {{"call_threads", calls}, {"sessions", open_sessions()}, {"version", version()}, {"pid", ::getpid()}, {"started_at", started_at_}, {"listen", addresses()},
          {"connections", connections}, {"plugins", plugins}, {"config", config_.file}, {"upstreams", describe_upstreams(client_.status())},
          {"timers", describe_timers(store_->waiting_timers(), *generation->assembly)}, {"reload", describe_reload()},
          {"crashes", describe_standings(*generation->assembly)}};
}

}  // namespace postern::gateway
