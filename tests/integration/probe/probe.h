// What probe's files share. probe.cpp says what the plugin is for.
// Thread-safety: the instance's tables are set in init; what changes later is guarded by its mutex.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "postern/ext/client.h"
#include "postern/ext/events.h"
#include "postern/ext/http.h"
#include "postern/ext/metrics.h"
#include "postern/ext/records.h"
#include "postern/ext/routes.h"
#include "postern/ext/schemes.h"
#include "postern/ext/timers.h"
#include "postern/ext/services.h"
#include "postern/ext/websocket.h"

struct postern_instance {
  const postern_host_api* api = nullptr;
  postern_host* host = nullptr;
  const postern_ext_events* events = nullptr;
  const postern_ext_http* http = nullptr;
  const postern_ext_records* records = nullptr;
  const postern_ext_routes* routes = nullptr;
  const postern_ext_schemes* schemes = nullptr;
  const postern_ext_metrics* metrics = nullptr;
  const postern_ext_timers* timers = nullptr;
  const postern_ext_websocket* websocket = nullptr;
  postern_metric* runs = nullptr;      // runs_total{asked="done|dead|other"}
  postern_metric* body_size = nullptr; // body_bytes
  const postern_ext_client* client = nullptr;
  uint32_t upstream = 0;  // of `config: {upstream: URL}`
  const postern_ext_services* services = nullptr;
  std::string published;   // of `config: {publishes: NAME}`
  uint32_t service = 0;    // of `config: {calls: NAME}`
  int64_t activated_ms = 0;  // Unix milliseconds
  std::mutex mutex;
  std::vector<std::thread> threads;          // of pending deliveries and detached replies; guarded by mutex
  std::vector<std::shared_ptr<void>> timers_started;  // kept to the end: those that are forgotten are told of to nobody; guarded by mutex
  std::map<std::string, std::string> notes;  // what the host said to answers; guarded by mutex
};

namespace probe {

constexpr postern_str str(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view view(postern_str text) { return {text.ptr, text.len}; }

// The value of a string member of a flat JSON object that the test wrote: no escapes.
std::string member(std::string_view json, const std::string& name);

// Leaves `why` for the operator.
postern_status fail(postern_instance* self, std::string_view why, postern_status status);

// Makes the file FILE.began and holds the thread until FILE exists.
void block_until_there(const std::string& file);

// [worker] Ends the gateway, HOW ("how": "segv", "abort", "overflow", "exit", "kill", "thread"); "once": only if there is no such file,
// which it makes; "while": only if there is such a file.
void crash(std::string_view body);

// [main] In init: the reply routes, the scheme and the route that it signs, and one that the scheme `foreign` signs.
postern_status add_replies(postern_instance* self, const std::string& prefix, const std::string& foreign);

// [main] In init: the route of its WebSockets.
postern_status add_session(postern_instance* self, const std::string& prefix);
// [worker] As a request to a reply route asks for it.
postern_status publish_as_asked(postern_instance* self, const postern_request* request, postern_reply* reply, std::string_view how);

// [main] In init: the type of its durable timers' events.
postern_status add_timers(postern_instance* self);
// [worker] As an event asks for it.
postern_status set_timer(postern_instance* self, postern_delivery* delivery, std::string_view body);
postern_status start_timer(postern_instance* self, postern_delivery* delivery, std::string_view body, bool pending);
// [main] In init: what the configuration says of services.
postern_status add_services(postern_instance* self, std::string_view config_json);

// Calls the service; the delivery ends done with its answer as the result, or dead with its error.
postern_status call_service(postern_instance* self, postern_delivery* delivery, const std::string& method, const std::string& body);

}  // namespace probe
