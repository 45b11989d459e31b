// FakeHost: a gateway for one plugin, in memory, so that a plugin is tested without one. It implements every extension
// of the SDK with the documented rules: registration only in init, records with versions (a mismatch runs the handler
// again), effects that count only when the outcome is done, pending completion and detached replies from any thread, GONE
// when it comes too late. It verifies no signature by itself, and no request comes by the net: deliver() runs a handler,
// redeliver() its next attempt, verify() and sign() a scheme's functions, reply() a reply route's handler. Nor does one go out:
// answer() says what an upstream answers, run_published() when what the plugin publishes is handled. Other plugins there are none: serve()
// stands for a service of one, and call_service() is one that calls. Nor are there peers of WebSocket sessions: the test says what comes of
// them.
//
// What a plugin does against the rules, and a real host might not survive, is collected in misuses(): check that it is
// empty. Threads: one thread drives the host; the plugin may call from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postern/abi.h"
#include "postern/testing/fake_session.h"

namespace postern::testing {

struct HostState;

// One of the YAML's `subscriptions:` that name the plugin.
struct SubscriptionOption {
  std::string name, on, with = "{}";
};

struct Options {
  std::string name = "plugin";            // the plugin's name in the YAML
  std::vector<std::string> without = {};  // extensions that this host does not have: "postern.health/1"
  size_t host_api_size = 0;               // bytes of postern_host_api; 0: all. Smaller: an older host
  // Of one delivery, beyond them POSTERN_E_LIMIT.
  size_t max_effects = 1000;
  size_t max_effect_bytes = 4 * 1024 * 1024;
  std::string public_url = {};   // gateway.public_url; a '/' at its end is taken off
  bool trusts_proxies = false;   // whether gateway.trusted_proxies names any
  size_t max_detached = 1000;    // replies that may be detached at once; beyond them POSTERN_E_LIMIT
  size_t max_sessions = 10'000;  // in the host's life; beyond them POSTERN_E_LIMIT
  std::vector<std::string> foreign_schemes = {};  // of other plugins, which routes may name: "twilio:twilio"
  std::vector<SubscriptionOption> subscriptions = {};
};

struct ConfigFault {
  std::string pointer, text;
  std::optional<size_t> subscription = {};  // in the `with:` of that one of Options::subscriptions
};

// What fits the plugin's deliveries; 0: the gateway's default.
struct PolicyDeclaration {
  uint32_t deadline_ms = 0, attempts = 0, retry_base_ms = 0, retry_cap_ms = 0;
};

// What postern.reports/1 says of a provider.
struct ReportedProvider {
  std::string provider;
  uint64_t received = 0, done = 0, dead = 0, waiting = 0, slowest_ms = 0;
  std::string slowest_event = {}, slowest_type = {};
};

struct SchemeDeclaration {
  uint32_t algorithm = 0;
  std::string name, header, format, separator, timestamp_header, id_header, signed_bytes;
  uint32_t signature_encoding = 0, secret_encoding = 0, timestamp_unit = 0, tolerance_s = 0;
  std::vector<std::string> secrets;
  bool functions = false;  // added by add_functions(): of the above it has a name, a header and secrets
  bool can_sign = false;   // it has a sign function
};

struct RouteDeclaration {
  std::string method, path;
  std::vector<std::pair<std::string, std::string>> schemes;  // scheme, id_from
  std::string content_types, type_from, order_key_from, required, unsigned_id_from;
  uint64_t max_body = 0;
  uint32_t wait_ms = 0, flags = 0;
  uint32_t kind = 0;         // POSTERN_ROUTE_EVENT, POSTERN_ROUTE_REPLY
  uint32_t deadline_ms = 0;  // as declared; 0: 10 s
  bool has_handler = false;
  std::string content_from = {};
  uint64_t dedupe_window_ms = 0;  // as declared; 0: the gateway's
};

struct SampleDeclaration {
  std::string name, method, target, content_type, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct MetricDeclaration {
  uint32_t kind = 0;  // POSTERN_METRIC_…
  std::string name, help;
  std::vector<std::string> labels;
  std::vector<std::vector<std::string>> series;  // the labels' values; none where there are no labels
  std::vector<double> buckets;                   // as given; none: the host's
};

// What one series of a metric says.
struct MetricValue {
  bool there = true;             // false: there is no such metric or series
  double value = 0;              // counted, set, or the sum of what was observed
  std::vector<double> observed;  // histograms: each value, in order
};

// A request in front of a scheme's functions or of a reply handler.
struct Request {
  std::string method = "POST", target = "/";  // the target raw: "/a%20b?c=d"
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};  // exact bytes; its form parameters are there when a Content-Type header says that it is a form
  std::string remote = "192.0.2.1";
  std::vector<std::string> urls = {};  // empty: Options::public_url and the target behind it, where that is set
  std::map<std::string, std::string> path_parameters = {};  // decoded; reply() adds those of the route's template
};

// What a scheme's verify function said. `status` is what it returned; POSTERN_E_NOT_FOUND when there is no such scheme of
// functions, POSTERN_E_DENIED also when the request has not exactly one header of the scheme: then no plugin is asked.
struct Verified {
  postern_status status = POSTERN_OK;
  std::vector<std::string> lines;  // what it explained
  std::string error;               // what it said by set_error, or what the host found
  bool genuine() const { return status == POSTERN_OK; }
};

// What a scheme's sign function added. POSTERN_E_NOT_FOUND as above, POSTERN_E_UNSUPPORTED when it has none.
struct Signed {
  postern_status status = POSTERN_OK;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string error;
  bool ok() const { return status == POSTERN_OK; }
};

// What the client of a reply route gets. `status` is 0 while a detached reply is not sent: use await_reply(). A plugin that
// fails is answered 500, one that is too late 504, without headers and body of its own.
struct Replied {
  size_t reply = 0;     // for await_reply() and expire_reply()
  uint32_t status = 0;  // HTTP; 404 when the plugin has no reply route for the request, and nothing ran
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool sent = false;                     // the plugin gave this answer
  bool detached = false;                 // the plugin called detach()
  size_t session = 0;                    // a WebSocket that it accepted, with the status 101: for open() and the like
  postern_status returned = POSTERN_OK;  // by the handler
  std::string error;                     // what it said by set_error, or why the host answered itself
  // The first header of that name, any case; empty without one.
  std::string header(std::string_view name) const;
};

// How start() went. `status` is the first call's that failed; POSTERN_E_INVALID when only config faults were found.
struct Started {
  postern_status status = POSTERN_OK;
  std::string error;                  // what the plugin said by set_error, or what the host found
  std::vector<ConfigFault> faults;    // in the order of the reports
  std::vector<std::string> refusals;  // registrations that the host refused, and why
  bool ok() const { return status == POSTERN_OK; }
};

struct Event {
  std::string type = {};    // "message.received"; the plugin's name is put before it, unless it is there
  std::string body = "{}";  // exact bytes
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string order_key = {};
  std::string id = {};           // empty: one is made
  std::string external_id = {};  // empty: as `id`
  std::string provider = {};     // empty: the plugin's own name
  std::string with = {};         // a subscription's `with:`, as JSON
  std::string method = "POST", target = "/", remote = "192.0.2.1";
  int64_t received_at = 0;  // Unix milliseconds; 0: now
};

struct Emitted {
  std::string type, body, order_key;
};

// What the plugin has published by itself.
struct PublishedEvent {
  std::string type, body, order_key, external_id;
  uint32_t wait_ms = 0;
  std::string event_id;  // of the first one, where it is a duplicate; empty: it was refused
};

// How a delivery ended, or that it is pending. Effects are there only when it is done.
struct Settled {
  size_t delivery = 0;                  // for await(), expire(), redeliver()
  bool handled = false;                 // false: no handler of the plugin takes this type, and nothing ran
  postern_status outcome = POSTERN_OK;  // POSTERN_PENDING: use await()
  std::string why;
  std::optional<uint64_t> retry_after_ms;
  std::string result;  // JSON, empty without one
  std::vector<Emitted> emitted;
  uint32_t attempt = 0;
  uint32_t reruns = 0;  // because of record versions; they cost no attempt
  bool done() const { return handled && outcome == POSTERN_OK; }
};

struct StoredRecord {
  std::string json;
  uint64_t version = 0;
};
using RecordKey = std::pair<std::string, std::string>;  // collection, key

struct HealthResult {
  std::string name;
  uint32_t interval_ms = 0;
  uint32_t status = 0;  // POSTERN_HEALTHY, …
  std::string message, details_json;
};

// Somebody whom the plugin may call, as declared; 0: the gateway's default.
struct UpstreamDeclaration {
  std::string name, base_url, allow_hosts, ca_file;
  uint32_t flags = 0, attempts = 0, retry_base_ms = 0, retry_cap_ms = 0, breaker_failures = 0, breaker_open_ms = 0;
  uint32_t connect_ms = 0, attempt_ms = 0, deadline_ms = 0, max_in_flight = 0, max_waiting = 0, max_redirects = 0;
  uint64_t max_response = 0;
};

// What the plugin asked of an upstream.
struct OutboundRequest {
  std::string upstream, method, url, body, idempotency_key;
  std::vector<std::pair<std::string, std::string>> headers;
  uint32_t deadline_ms = 0;
  size_t delivery = 0;    // on whose behalf; 0: nobody's
  bool waited = false;    // call(), not send()
};

// What comes of a request. Without a kind it is what the status means.
struct OutboundAnswer {
  uint32_t status = 200;  // HTTP; 0 without an answer
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::optional<uint32_t> kind = {};  // POSTERN_RESPONSE_…
  std::string error = {};
  uint64_t retry_after_ms = 0;
  uint32_t attempts = 1;
};

// A durable timer that waits.
struct DurableTimer {
  std::string name, type, body, order_key;
  int64_t delay_ms = 0;  // as it was set: no time passes for it, fire() is when it is due
};

// A call of a service.
struct ServiceCalled {
  std::string service, method, request;
  uint32_t deadline_ms = 0;  // as given; 0: 10 s
  size_t delivery = 0;       // on whose behalf; 0: nobody's
};

// What came of it. `body` counts with POSTERN_OK, `error` otherwise, `retry_after_ms` with POSTERN_RETRY.
struct ServiceAnswered {
  postern_status status = POSTERN_OK;
  std::string body = {}, error = {};
  uint64_t retry_after_ms = 0;
  bool ok() const { return status == POSTERN_OK; }
};

struct WantedService {
  std::string name;
  bool required = true;
};

struct LogLine {
  uint32_t level = 0;
  std::string text;
};

class FakeHost {
 public:
  // `entry` must outlive the host. Nothing of the plugin runs before start().
  explicit FakeHost(const postern_plugin_entry& entry, Options options = {});
  ~FakeHost();  // stops
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  // Checks the descriptor, then create, init and activate. On failure the instance is destroyed, as the gateway does.
  Started start(std::string_view config_json);
  // Deactivate and destroy; pending deliveries become GONE. Their records and what was emitted stay readable.
  void stop(std::chrono::milliseconds drain = std::chrono::milliseconds(1000));

  // Runs the plugin's handler for an event on the calling thread; again when a record's version did not fit.
  Settled deliver(const Event& event);
  // The next run of an earlier delivery: the same event and idempotency key. Another attempt, unless it was postponed.
  Settled redeliver(size_t delivery);
  // Waits for a pending delivery; POSTERN_E_TIMEOUT when it is not completed within `limit`.
  Settled await(size_t delivery, std::chrono::milliseconds limit = std::chrono::seconds(10));
  // Gives a pending delivery up, as a deadline does: from now on it is GONE.
  void expire(size_t delivery);
  // Runs a scheme's verify function on the calling thread; with its own secrets where none are given. `now_ms`: Unix
  // milliseconds, 0: now. Without `explain` it is given none, as in service.
  Verified verify(std::string_view scheme, const Request& request, std::optional<std::vector<std::string>> secrets = {},
                  int64_t now_ms = 0, bool explain = true);
  // Runs a scheme's sign function on the calling thread, with the first secret.
  Signed sign(std::string_view scheme, const Request& request, int64_t now_ms = 0);

  // Runs the handler of the reply route that the method and the target's path lead to, on the calling thread. Signature,
  // content type, size and what the route requires are not checked.
  Replied reply(const Request& request);
  // Waits for a detached reply; the status is 0 when it was neither sent nor dropped within `limit`.
  Replied await_reply(size_t reply, std::chrono::milliseconds limit = std::chrono::seconds(10));
  // The deadline of a reply passes: the client is answered 504, what the plugin sends is GONE. A handler that still runs
  // may be given up so as well.
  void expire_reply(size_t reply);

  // Called once before the next settlement, without locks: the moment to change a record behind the handler's back.
  void before_settle(std::function<void()> hook);

  std::optional<StoredRecord> record(std::string_view collection, std::string_view key) const;
  std::map<RecordKey, StoredRecord> records() const;
  void set_record(std::string_view collection, std::string_view key, std::string_view json);
  std::vector<Emitted> emitted() const;  // committed ones, in order

  std::vector<PublishedEvent> published() const;  // in order, with duplicates and refused ones
  // The next event that the plugin publishes cannot be stored (the backlog is full, …); a script of several, one after the other.
  void refuse_published(std::string why);
  // Events that the plugin has published, and those that it publishes meanwhile: each goes to the plugin's own handler, if one takes it,
  // and its callback is told; on the calling thread. What the handlers made of them, in order. Before it nothing is told.
  std::vector<Settled> run_published();

  // What the next request to that upstream gets; a script of several, one after the other. Without one it finds nobody who listens.
  void answer(std::string_view upstream, OutboundAnswer answer);
  // Runs the callbacks of requests that the plugin sent without waiting, and those that they send, on the calling thread.
  void run_callbacks();
  std::vector<OutboundRequest> outbound() const;  // in order
  const std::vector<UpstreamDeclaration>& upstreams() const;

  // What a report says, whatever the time; and for which times the plugin has asked, Unix milliseconds.
  void set_report(std::vector<ReportedProvider> providers);
  std::vector<std::pair<int64_t, int64_t>> reports() const;
  PolicyDeclaration policy() const;

  std::vector<std::string> timer_types() const;  // as declared
  std::vector<DurableTimer> timers() const;      // committed ones, by name
  // A durable timer is due: it goes, and its event is delivered. `handled` is false when there is no such timer.
  Settled fire(std::string_view name);
  size_t timers_in_memory() const;
  // Time passes for the timers in memory and those of sessions: runs the callbacks of those that are due, and of those that they start, in
  // the order of their times, on the calling thread. How many ran.
  size_t pass(std::chrono::milliseconds time);
  // Publishes a service that the plugin wants; `function` runs on the thread of the call. A required one without it is
  // POSTERN_E_GONE, an optional one POSTERN_E_NOT_FOUND.
  void serve(std::string_view service, std::function<ServiceAnswered(const ServiceCalled&)> function);
  std::vector<ServiceCalled> service_calls() const;  // of the plugin, in order
  // Calls what the plugin publishes, on this thread, as the plugin "caller" does. POSTERN_E_NOT_FOUND when it publishes none of that name.
  ServiceAnswered call_service(std::string_view service, std::string_view method, std::string_view request,
                               std::chrono::milliseconds deadline = std::chrono::seconds(10));
  std::vector<std::string> services() const;  // that the plugin publishes
  std::vector<WantedService> wanted_services() const;

  // WebSocket sessions, by the numbers that Replied::session and sessions() have. A WebSocket route is asked by reply() with the method
  // GET. Everything runs on the calling thread.
  std::vector<SessionView> sessions() const;  // all there ever were
  SessionView session(size_t number) const;   // of one; empty when there is none
  size_t session_count() const;
  void open(size_t session);                  // opened(): the first that happens to it, unless it ends at once
  void receive(size_t session, std::string_view data, uint32_t kind = POSTERN_MESSAGE_TEXT);
  std::vector<SessionMessage> take_sent(size_t session);  // since the last time
  void set_buffered(size_t session, size_t bytes);        // as the plugin is told
  void writable(size_t session);
  void end(size_t session, const SessionEnded& ended = {});
  size_t run_wakes();  // calls woken() of those for which the plugin has called wake(): how many

  std::vector<HealthResult> health();  // runs every check
  std::vector<LogLine> log() const;
  std::vector<MetricDeclaration> metrics() const;
  // `values`: those of its labels.
  MetricValue metric(std::string_view name, const std::vector<std::string>& values = {}) const;
  std::vector<std::string> misuses() const;
  const std::vector<SchemeDeclaration>& schemes() const;
  const std::vector<RouteDeclaration>& routes() const;
  const std::vector<SampleDeclaration>& samples() const;
  std::vector<std::string> handled_types() const;          // the globs, in the order of on()
  const std::vector<std::string>& critical_types() const;  // likewise, of critical()

 private:
  void cancel_requests();
  void end_published();
  // Its type is whole.
  Settled deliver_as_it_is(Event event, bool without_external_id = false);

  std::unique_ptr<HostState> state_;
};

}  // namespace postern::testing
