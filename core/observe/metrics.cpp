#include "core/observe/metrics.h"

#include <algorithm>
#include <map>

#include "core/base/clock.h"
#include "core/base/version.h"
#include "core/observe/exposition.h"

namespace postern::observe {
namespace {

constexpr double kMsPerSecond = 1e3;

void show_gateway(const MetricSources& sources, Exposition& out) {
  out.gauge("postern_build_info", "The version that runs; always 1.", {{"version", version()}}, 1);
  out.gauge("postern_process_start_time_seconds", "When the gateway was started, in Unix time.", {},
            static_cast<double>(sources.started_at) / kMsPerSecond);
  out.gauge("postern_config_generation", "Which configuration runs: 1 at the start, and one more with each reload.", {},
            static_cast<double>(sources.generation));
}

// Requests as the loops have counted them; what was declared is there from the start, even with nothing in it.
void show_received(const MetricSources& sources, const std::vector<MetricSources::Loop>& loops, Exposition& out) {
  std::map<std::string, std::vector<std::shared_ptr<const ingest::Meter::Source>>> by_provider;
  for (const auto& loop : loops) {
    for (auto& source : loop.meter->sources()) by_provider[source->provider].push_back(std::move(source));
  }
  for (const auto& [provider, counted] : by_provider) {
    for (ingest::TypeTable::Id type = 0; type < sources.types.size(); ++type) {
      uint64_t received = 0;
      for (const auto& source : counted) received += source->received[type].value();
      bool own = sources.types.provider(type) == provider || type == ingest::TypeTable::kOther;
      if (received == 0 && !own) continue;
      out.counter("webhook_received_total", "Genuine webhooks that came in, duplicates too, by the type that somebody declared.",
                  {{"type", sources.types.name(type)}, {"source", provider}}, received);
    }
  }
}

void show_refusals(const std::vector<MetricSources::Loop>& loops, Exposition& out) {
  for (size_t reason = 0; reason < ingest::kRefusals; ++reason) {
    for (size_t status = 0; status < ingest::Meter::kStatuses.size(); ++status) {
      uint64_t refused = 0;
      for (const auto& loop : loops) refused += loop.meter->refusals(status, static_cast<ingest::Refusal>(reason));
      if (refused == 0) continue;
      int code = ingest::Meter::kStatuses[status];
      out.counter("postern_refusals_total", "Requests that were not taken, by the answer's status and the reason.",
                  {{"status", code == 0 ? "other" : std::to_string(code)}, {"reason", to_text(static_cast<ingest::Refusal>(reason))}},
                  refused);
    }
  }
}

void show_loops(const MetricSources& sources, Exposition& out) {
  std::vector<MetricSources::Loop> loops = sources.loops();
  show_received(sources, loops, out);
  show_refusals(loops, out);
  size_t connections = 0;
  for (const auto& loop : loops) connections += loop.connections;
  out.gauge("postern_connections", "Open connections of the public listeners.", {}, static_cast<double>(connections));
}

// How long the oldest unsettled delivery has waited; nothing where the store cannot be read.
std::optional<double> queue_age_s(store::Store& store) {
  store::OpenQuery query;
  query.limit = 1;
  auto oldest = store.open_deliveries(query);
  if (!oldest) return std::nullopt;
  if (oldest->deliveries.empty()) return 0;
  auto event = store.event(oldest->deliveries.front().event_seq);
  if (!event) return std::nullopt;
  return static_cast<double>(std::max<int64_t>(0, wall_ms() - (*event)->received_at)) / kMsPerSecond;
}

void show_store(const MetricSources& sources, Exposition& out) {
  store::Counters counters = sources.store.counters();
  const store::Meter& meter = sources.store.meter();
  out.gauge("webhook_queue_size", "Deliveries that are not settled yet.", {}, static_cast<double>(counters.open));
  if (auto age = queue_age_s(sources.store)) {
    out.gauge("postern_queue_age_seconds", "How long the oldest unsettled delivery's event has been here; 0 when all are settled.", {},
              *age);
  }
  out.gauge("postern_dead_deliveries", "Deliveries that were given up and wait for a person.", {}, static_cast<double>(counters.dead));
  out.counter("postern_events_stored_total", "Events that became durable.", {}, counters.events);
  out.counter("postern_duplicates_total", "Webhooks that had come before.", {}, counters.duplicates);
  out.counter("postern_batches_total", "Transactions of the store.", {}, counters.batches);
  out.counter("postern_failed_batches_total", "Transactions that could not be committed; their senders were told to try again.", {},
              meter.failed_batches.value());
  out.histogram("postern_batch_events", "Events in one transaction, where there were any.", {}, meter.batch_events);
  out.histogram("postern_commit_seconds", "How long a transaction took until it was durable.", {}, meter.commit_seconds);
  out.gauge("postern_store_bytes", "What the store takes of the disk.", {}, static_cast<double>(sources.store.size_bytes()));
}

void show_handled(const MetricSources& sources, Exposition& out) {
  const auto& types = sources.dispatcher.meter().of_type();
  const size_t known = std::min(types.size(), sources.types.size());
  for (size_t i = 0; i < known; ++i) {
    const std::string& name = sources.types.name(static_cast<ingest::TypeTable::Id>(i));
    struct {
      const char* status;
      const Counter& count;
    } const ends[] = {{"done", types[i].done}, {"retry", types[i].retry}, {"postpone", types[i].postpone}, {"dead", types[i].dead}};
    for (const auto& end : ends) {
      out.counter("webhook_processed_total", "Runs of handlers, by the event's declared type and how they ended.",
                  {{"type", name}, {"status", end.status}}, end.count.value());
    }
  }
  for (size_t i = 0; i < known; ++i) {
    if (types[i].seconds.count() == 0) continue;  // a dozen lines each
    out.histogram("webhook_processing_seconds", "How long a run of a handler took.",
                  {{"type", sources.types.name(static_cast<ingest::TypeTable::Id>(i))}}, types[i].seconds);
  }
}

void show_breaker(const char* name, const char* help, const Exposition::Labels& labels, std::string_view is, Exposition& out) {
  for (const char* state : {"closed", "open", "half_open"}) {
    Exposition::Labels with_state = labels;
    with_state.emplace_back("state", state);
    out.gauge(name, help, std::move(with_state), is == state ? 1 : 0);
  }
}

void show_subscribers(const dispatch::Dispatcher::Status& status, Exposition& out) {
  for (const auto& s : status.subscribers) {
    Exposition::Labels labels{{"plugin", s.plugin}, {"subscriber", s.name}};
    out.counter("postern_retries_total", "Runs of a subscriber that failed and will be repeated.", labels, s.retried);
    out.counter("postern_postponed_total", "Runs of a subscriber that were put off at no cost of attempts.", labels, s.postponed);
    out.counter("postern_dead_total", "Deliveries of a subscriber that were given up.", labels, s.dead);
    out.counter("postern_breaker_opens_total", "How often a subscriber's breaker has opened; trials that fail do not count again.", labels,
                s.breaker_opens);
    show_breaker("postern_breaker_state", "1 for the state that a subscriber's breaker is in.", labels, s.breaker, out);
  }
}

// Those whom plugins call, by the names that the plugins declare: a URL from outside counts for the upstream that it was given to.
void show_upstreams(const MetricSources& sources, Exposition& out) {
  for (const client::UpstreamStatus& u : sources.upstreams()) {
    Exposition::Labels labels{{"plugin", u.plugin}, {"upstream", u.name}};
    for (size_t kind = 0; kind < u.ended.size(); ++kind) {
      Exposition::Labels with_outcome = labels;
      with_outcome.emplace_back("outcome", client::to_text(static_cast<client::Outcome::Kind>(kind)));
      out.counter("postern_upstream_requests_total", "Requests to an upstream that have ended, by what came of them.",
                  std::move(with_outcome), u.ended[kind]);
    }
    out.counter("postern_upstream_retries_total", "Attempts at requests to an upstream, but for the first ones.", labels, u.retries);
    out.histogram("postern_upstream_attempt_seconds", "How long an attempt at a request took, unless it was given up.", labels,
                  *u.attempt_seconds);
    out.gauge("postern_upstream_in_flight", "Attempts that are out.", labels, static_cast<double>(u.in_flight));
    out.gauge("postern_upstream_waiting", "Requests that wait for room, or for their next attempt.", labels,
              static_cast<double>(u.waiting));
    show_breaker("postern_upstream_breaker_state", "1 for the state that an upstream's breaker is in.", labels, u.breaker, out);
    out.counter("postern_upstream_breaker_opens_total", "How often an upstream's breaker has opened; trials that fail do not count again.",
                labels, u.opens);
  }
}

void show_dispatch(const MetricSources& sources, Exposition& out) {
  show_handled(sources, out);
  dispatch::Dispatcher::Status status = sources.dispatcher.status();
  show_subscribers(status, out);
  out.gauge("postern_orphan_deliveries", "Deliveries that wait for plugins or subscriptions which the configuration no longer has.", {},
            static_cast<double>(status.orphans));
  out.gauge("postern_running_deliveries", "Deliveries that are with a handler, or pending.", {}, static_cast<double>(status.running));
  out.counter("postern_abandoned_threads_total", "Handler threads that did not come back before their deadline and were replaced.", {},
              status.abandoned);
}

void show_call_threads(const MetricSources& sources, Exposition& out) {
  for (const auto& [plugin, purpose, pool] : sources.call_threads) {
    ingest::CallPool::Status status = pool->status();
    Exposition::Labels labels{{"plugin", plugin}, {"purpose", purpose}};
    out.gauge("postern_call_threads", "Threads for calls into a plugin beside its event handlers.", labels, status.threads);
    out.gauge("postern_call_threads_busy", "Those of them that are inside the plugin.", labels, status.busy);
    out.gauge("postern_call_threads_stuck", "Threads that did not come back before their deadline.", labels, status.stuck);
    out.gauge("postern_calls_waiting", "Calls that wait for such a thread.", labels, static_cast<double>(status.waiting));
  }
}

void show_sessions(const MetricSources& sources, Exposition& out) {
  for (const auto& [plugin, open] : sources.sessions) {
    out.gauge("postern_websocket_sessions", "Open WebSocket sessions of a plugin, also from before a reload.", {{"plugin", plugin}}, static_cast<double>(open));
  }
}

// Of plugins that the configuration has: no label comes from the store.
void show_timers(const MetricSources& sources, Exposition& out) {
  if (!sources.timers) return;
  MetricSources::Timers timers = sources.timers();
  for (const MetricSources::OfPlugin& of : sources.plugins) {
    auto found = timers.waiting.find(of.plugin);
    out.gauge("postern_timers_waiting", "Durable timers of a plugin that are not due yet, or have not fired.", {{"plugin", of.plugin}},
              found == timers.waiting.end() ? 0 : static_cast<double>(found->second));
  }
  out.counter("postern_timers_fired_total", "Durable timers that became events.", {}, timers.fired);
  out.counter("postern_timers_late_total", "Those of them that came more than a second after their time.", {}, timers.late);
}

void show_services(const MetricSources& sources, Exposition& out) {
  for (const auto& service : sources.services) {
    for (size_t i = 0; i < plugin::Service::kStatuses; ++i) {
      if (service->calls(i) == 0 && i > 0) continue;
      out.counter("postern_service_calls_total", "Calls of what a plugin does for others, by how they ended.",
                  {{"service", service->name()}, {"status", plugin::Service::status_name(i)}}, service->calls(i));
    }
  }
}

void show_standings(const MetricSources& sources, Exposition& out) {
  for (const plugin::Standing& standing : sources.standings) {
    Exposition::Labels labels{{"plugin", standing.plugin}};
    out.counter("postern_plugin_crashes_total", "Times that a plugin has ended the gateway, of which the store keeps the newest thousand.",
                labels, standing.all);
    out.gauge("postern_plugin_quarantined", "1 while a plugin is not called because it has crashed too often.", labels,
              standing.held_until != 0 ? 1 : 0);
  }
}

void show_plugin(const MetricSources::OfPlugin& of, Exposition& out) {
  for (const postern_metric& metric : *of.metrics) {
    std::string name = metric_name(of.plugin, metric.name);
    for (const plugin::MetricSeries& series : metric.series) {
      Exposition::Labels labels;
      for (size_t i = 0; i < metric.labels.size(); ++i) labels.emplace_back(metric.labels[i], series.values[i]);
      switch (metric.kind) {
        case POSTERN_METRIC_COUNTER: out.counter(name, metric.help, std::move(labels), series.counter.value()); break;
        case POSTERN_METRIC_GAUGE: out.gauge(name, metric.help, std::move(labels), series.gauge.load(std::memory_order_relaxed)); break;
        default: out.histogram(name, metric.help, std::move(labels), series.histogram);
      }
    }
  }
}

}  // namespace

std::string metric_name(std::string_view plugin, std::string_view name) {
  return "postern_plugin_" + std::string(plugin) + "_" + std::string(name);
}

std::string metrics_text(const MetricSources& sources) {
  Exposition out;
  show_loops(sources, out);
  show_dispatch(sources, out);
  show_store(sources, out);
  show_call_threads(sources, out);
  show_sessions(sources, out);
  show_services(sources, out);
  show_standings(sources, out);
  if (sources.upstreams) show_upstreams(sources, out);
  show_gateway(sources, out);
  show_timers(sources, out);
  for (const MetricSources::OfPlugin& of : sources.plugins) show_plugin(of, out);
  return out.text();
}

}  // namespace postern::observe
