// HostState: what stands behind the opaque handles of the C ABI. The handles' types stay incomplete here, since the
// program may contain the gateway, which has its own. Thread-safety: `mutex` guards everything that a plugin's threads
// can reach.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "postern/ext/client.h"
#include "postern/ext/events.h"
#include "postern/ext/health.h"
#include "postern/ext/http.h"
#include "postern/ext/log.h"
#include "postern/ext/metrics.h"
#include "postern/ext/records.h"
#include "postern/ext/reports.h"
#include "postern/ext/routes.h"
#include "postern/ext/schemes.h"
#include "postern/ext/timers.h"
#include "postern/ext/services.h"
#include "postern/ext/websocket.h"
#include "postern/testing/fake_host.h"

namespace postern::testing {

enum class Phase { kNone, kCreating, kInit, kReady, kStopped };

struct Handler {
  std::string glob;
  postern_event_handler call = nullptr;
  void* user = nullptr;
};

struct ReplyHandler {
  postern_reply_handler call = nullptr;
  void* user = nullptr;
};

struct HealthCheck {
  std::string name;
  uint32_t interval_ms = 0;
  postern_health_check call = nullptr;
  void* user = nullptr;
};

// What a postern_metric* points at.
struct MetricState {
  HostState* host = nullptr;
  MetricDeclaration declared;
  std::vector<MetricValue> values;  // of each series
};

// What a postern_client_response* points at.
struct ResponseState {
  HostState* host = nullptr;
  OutboundAnswer answer;
  bool ended = false;  // its callback has returned
};

// A request of send() whose callback has not run.
struct WaitingRequest {
  uint64_t number = 0;
  std::string upstream;
  postern_client_callback callback = nullptr;
  void* user = nullptr;
  bool cancelled = false;
};

// An event of publish().
struct PublishedState {
  PublishedEvent event;
  postern_publish_callback callback = nullptr;
  void* user = nullptr;
  bool duplicate = false;
  bool ended = false;  // handled and told of
  std::optional<std::string> refusal;
};

// A timer in memory that waits.
struct MemoryTimer {
  uint64_t number = 0;
  postern_timer_callback callback = nullptr;
  void* user = nullptr;
};

// A durable one, set or removed by a delivery.
struct TimerEffect {
  DurableTimer timer;  // removed: its name alone
  bool removed = false;
};

struct PublishedService {
  std::string name;
  postern_service_function call = nullptr;
  void* user = nullptr;
};

// What a postern_service_call* points at.
struct ServiceCallState {
  HostState* host = nullptr;
  std::string method, request, caller;
  std::chrono::steady_clock::time_point until;
  std::string answer;
  bool too_large = false;
  uint64_t retry_after_ms = 0;
  bool ended = false;  // the plugin's function has returned
};

// What a postern_session* points at.
struct SessionState {
  HostState* host = nullptr;
  postern_session_calls calls{};
  void* user = nullptr;
  SessionView view;
  std::vector<SessionMessage> sent;
  size_t buffered = 0;
  bool wakes = false;
  bool gone = false;  // ended() has returned
};

struct DeliveryState;

// What a postern_request* points at. Like all that handles point at it is kept until the host dies, so that a call that
// comes too late can be answered and noted; of a scheme's calls, which a fuzzer makes by the million, the last thousand.
struct RequestView {
  HostState* host = nullptr;
  Request request;
  std::vector<std::pair<std::string, std::string>> form;  // decoded
  std::string ended;  // since when the plugin may not use it any more: "after verify"; empty: it may
};

// What a postern_explain* points at, and a postern_signing*.
struct ExplainState {
  HostState* host = nullptr;
  std::vector<std::string> lines;
  bool ended = false;
};
struct SigningState {
  HostState* host = nullptr;
  std::vector<std::pair<std::string, std::string>> headers;
  bool ended = false;
};

// What a postern_reply* points at.
struct ReplyState {
  HostState* host = nullptr;
  RequestView* view = nullptr;
  bool is_handshake = false;  // of a WebSocket route
  std::thread::id handler_thread;
  const char* ended = nullptr;  // what ended the plugin's right to the handle: "send()"; null: it has it
  Replied replied;              // an answer is there once its status is not 0
};

// One run of a handler: what a postern_delivery* points at.
struct Attempt {
  enum class Life { kRunning, kPending, kSettled, kGone };
  struct Write {
    RecordKey name;
    std::string json;
    uint64_t expected = 0;
  };

  HostState* host = nullptr;
  DeliveryState* delivery = nullptr;
  RequestView* request = nullptr;
  Life life = Life::kRunning;
  bool completed = false;  // complete() was called: the plugin may not use the handle any more
  postern_status completed_with = POSTERN_OK;
  std::string completed_why;
  std::vector<Write> writes;  // in order: a second one of a record expects the version that the first one makes
  std::vector<Emitted> emitted;
  std::vector<TimerEffect> timers;
  std::string result;
  size_t effects = 0, effect_bytes = 0;
  std::optional<uint64_t> retry_after_ms;
  std::unique_ptr<std::string>
      borrowed;  // what the last get() lent; a fresh block each time, so that stale use is seen
};

struct DeliveryState {
  size_t number = 0;
  Event event;  // with every field filled in
  std::string idempotency_key;
  Handler handler;
  uint32_t attempts = 0;
  uint32_t reruns = 0;
  bool rerun_wanted = false;
  Attempt* current = nullptr;
  Settled settled;  // valid once current->life is kSettled or kGone and no rerun is wanted
};

struct HostState {
  HostState(const postern_plugin_entry& e, Options o);

  const postern_plugin_entry& entry;
  Options options;
  std::unique_ptr<char[]> api_bytes;  // exactly as long as this host says its table is
  const postern_plugin* plugin_table = nullptr;
  postern_plugin plugin{};
  postern_instance* instance = nullptr;

  mutable std::mutex mutex;
  std::condition_variable settled;
  Phase phase = Phase::kNone;
  std::map<std::thread::id, std::string> errors;
  std::vector<ConfigFault> faults;
  std::vector<std::string> refusals;
  std::vector<std::string> misuses;
  std::vector<LogLine> log;
  std::vector<SchemeDeclaration> schemes;
  std::map<std::string, postern_scheme_functions> scheme_functions;  // by name; their strings are gone
  std::vector<RouteDeclaration> routes;
  std::vector<ReplyHandler> reply_handlers;  // of the route with the same index
  std::vector<SampleDeclaration> samples;
  std::vector<Handler> handlers;
  std::optional<Handler> subscription_handler;
  std::vector<std::pair<std::string, Handler>> own_subscriptions;  // by name
  std::vector<std::string> critical;  // globs
  PolicyDeclaration policy;
  std::vector<ReportedProvider> report;
  std::vector<std::pair<int64_t, int64_t>> reports;  // for which times
  std::vector<HealthCheck> checks;
  std::deque<MetricState> metrics;
  std::map<RecordKey, StoredRecord> records;
  uint64_t removed_version = 0;  // no removed record had a higher one
  std::vector<Emitted> emitted;
  std::deque<DeliveryState> deliveries;
  std::deque<Attempt> attempts;
  std::deque<RequestView> requests;
  std::deque<ExplainState> explains;
  std::deque<SigningState> signings;
  std::deque<ReplyState> replies;
  std::vector<UpstreamDeclaration> upstreams;
  std::map<std::string, std::deque<OutboundAnswer>> answers;  // by upstream
  std::vector<OutboundRequest> outbound;
  std::deque<WaitingRequest> waiting_requests;
  std::deque<ResponseState> responses;
  std::vector<std::string> timer_types;
  std::map<std::string, DurableTimer> timers;
  int64_t time_ms = 0;  // as pass() lets it pass
  uint64_t last_timer = 0;
  std::multimap<int64_t, MemoryTimer> memory_timers;  // by when they are due
  bool timers_ended = false;  // the plugin is being deactivated
  std::deque<PublishedState> published;
  std::deque<std::string> publish_refusals;  // of the next ones
  std::vector<PublishedService> services;
  std::vector<WantedService> wanted_services;
  std::map<std::string, std::function<ServiceAnswered(const ServiceCalled&)>> served;
  std::vector<ServiceCalled> service_calls;
  std::deque<ServiceCallState> calls_of_services;
  std::deque<SessionState> sessions;
  std::function<void()> before_settle;

  static HostState& of(postern_host* host) { return *reinterpret_cast<HostState*>(host); }
  postern_host* handle() { return reinterpret_cast<postern_host*>(this); }

  // With the mutex held.
  std::string take_error();
  postern_status refuse(const std::string& why);
  RequestView& view_of(Request request);
  // Ends a reply that has no answer yet without one of the plugin.
  void answer_for_plugin(ReplyState& reply, uint32_t status, std::string why);

  // Without the mutex: gives a callback the next answer of that upstream.
  void respond(const std::string& upstream, postern_client_callback callback, void* user, bool cancelled);

  // Without the mutex: `settled`: what its own handler made of it; null: nothing is known of that.
  void tell_published(PublishedState& published, const Settled* settled, const std::string& why);

  // Without the mutex: runs a service of the plugin.
  ServiceAnswered run_service(const PublishedService& service, const ServiceCalled& called, std::string caller);

  // With the mutex held: the session whose timer is due first, and by then; null when none is.
  SessionState* due_session(int64_t until_ms);
  // Without the mutex.
  void run_timer(SessionState& session);

  Settled run(DeliveryState& delivery);
  void settle(Attempt& attempt, postern_status outcome, std::string why);
};

// Of the table of postern.events.
postern_status publish_event(postern_host* handle, const postern_publish_desc* theirs, postern_publish_callback callback, void* user);

// For effects, with the mutex held: what keeps the delivery from having one more; POSTERN_OK counts it.
postern_status begin_effect(Attempt& attempt, const char* what, size_t bytes);

bool same_name(std::string_view a, std::string_view b);  // of headers: ASCII, any case
// A name that is a token and a value without control characters (RFC 9110 §5.5, §5.6.2).
bool is_header(std::string_view name, std::string_view value);

std::string percent_decode(std::string_view text);  // a '%' without two hex digits stands for itself
Request with_urls(const HostState& host, Request request);  // the URLs that a test did not give

// The views of postern.http.
postern_str request_method(const postern_request* handle);
postern_str request_target(const postern_request* handle);
postern_str request_body(const postern_request* handle);
postern_str request_remote(const postern_request* handle);
postern_status request_header(const postern_request* handle, postern_str name, size_t nth, postern_str* value);
postern_status request_path_parameter(const postern_request* handle, postern_str name, postern_str* value);
postern_status request_form_parameter(const postern_request* handle, size_t nth, postern_str* name, postern_str* value);
postern_status request_url(const postern_request* handle, size_t nth, postern_str* url);

// The functions of postern.schemes that a scheme's own functions call.
void explain(postern_explain* handle, postern_str line);
postern_status add_header(postern_signing* handle, postern_str name, postern_str value);

// The extensions' tables; null for an id that is not known.
const void* find_table(std::string_view id);
extern const postern_ext_events kEvents;
extern const postern_ext_records kRecords;
extern const postern_ext_http kHttp;
extern const postern_ext_metrics kMetrics;
extern const postern_ext_client kClient;
extern const postern_ext_timers kTimers;
extern const postern_ext_services kServices;
extern const postern_ext_websocket kWebsocket;
extern const postern_ext_reports kReports;

inline std::string to_string(postern_str text) {
  return text.len == 0 ? std::string() : std::string(text.ptr, text.len);
}
inline std::string_view to_view(postern_str text) {
  return text.len == 0 ? std::string_view() : std::string_view(text.ptr, text.len);
}
inline postern_str to_abi(const std::string& text) { return {text.data(), text.size()}; }

// A SIZED struct as this header knows it, from a plugin that knows it perhaps shorter or longer.
template <typename T>
T read_sized(const T* theirs) {
  T mine{};
  std::copy_n(reinterpret_cast<const char*>(theirs), std::min<size_t>(theirs->struct_size, sizeof(T)),
              reinterpret_cast<char*>(&mine));
  return mine;
}

}  // namespace postern::testing
