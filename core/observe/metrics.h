// Metrics: what /metrics shows. All of it is counted where it happens, by the rooms themselves; here it is read, named and written.
//
// Every label's value is one that the configuration, a plugin or the code declares. None comes from a request, so nobody can make series by
// sending; and there is no secret among them.
// Thread-safety: any thread that may wait for the disk; never a loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/client/upstream.h"
#include "core/dispatch/dispatcher.h"
#include "core/ingest/call_pool.h"
#include "core/ingest/meter.h"
#include "core/plugin/metric.h"
#include "core/plugin/quarantine.h"
#include "core/plugin/service.h"
#include "core/store/store.h"

namespace postern::observe {

struct MetricSources {
  store::Store& store;
  dispatch::Dispatcher& dispatcher;
  const ingest::TypeTable& types;

  struct Loop {
    const ingest::Meter* meter;
    size_t connections;  // open ones
  };
  std::function<std::vector<Loop>()> loops;
  struct CallThreads {
    std::string plugin;
    const char* purpose;  // "verify", "reply", "client", "timer", "publish"
    std::shared_ptr<ingest::CallPool> pool;
  };
  std::vector<CallThreads> call_threads;
  struct OfPlugin {
    std::string plugin;  // as the YAML has it
    const std::deque<postern_metric>* metrics;
  };
  std::vector<OfPlugin> plugins;
  std::function<std::vector<client::UpstreamStatus>()> upstreams;
  int64_t started_at = 0;  // Unix milliseconds
  uint64_t generation = 1;  // of the configuration
  struct Timers {
    std::map<std::string, uint64_t> waiting;  // durable ones, by plugin
    uint64_t fired, late;
  };
  std::function<Timers()> timers{};  // none: nothing is shown of them
  std::vector<std::shared_ptr<const plugin::Service>> services = {};  // of all plugins
  std::vector<plugin::Standing> standings = {};                       // likewise
  std::map<std::string, size_t> sessions = {};  // open WebSocket sessions by plugin, those of instances that end as well
};

// The name under which a plugin's metric is shown.
std::string metric_name(std::string_view plugin, std::string_view name);

// The answer to GET /metrics, and its type.
constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
std::string metrics_text(const MetricSources& sources);

}  // namespace postern::observe
