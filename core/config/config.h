// Config: gateway.yaml, typed and checked. Everything wrong in the file is found in one pass and told with its place.
// Thread-safety: plain values; load_config() touches files and the environment.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

using std::chrono::milliseconds;

// The most that max_body may be. All requests on their way share 256 MiB, of which one alone gets half (http::MemoryBudget).
constexpr uint64_t kMaxBody = 100ull << 20;

// A place in a file: 1-based, as editors count.
struct Mark {
  int line = 0;
  int column = 0;
  bool operator<(const Mark& o) const { return line != o.line ? line < o.line : column < o.column; }
};

struct Fault {
  Mark mark;
  std::string message;
};

struct TlsFile {
  std::string path;  // as written
  Mark mark;
};

// How a listener speaks TLS. That the files are there and fit one another is looked at where they are used.
struct Tls {
  struct Identity {
    TlsFile certificate, key;  // PEM; the certificate with those between it and a root
  };
  std::vector<Identity> identities;  // not empty; a client's SNI chooses, the first is for all others
  TlsFile client_ca;                 // empty: clients need no certificate
  bool client_certificate_required = true;
  bool only_1_3 = false;  // else 1.2 as well
  Mark mark;
};

struct Listen {
  std::string address;  // "127.0.0.1:8080", "[::1]:8080", "unix:/path"
  Mark mark;
  std::optional<Tls> tls = {};
  bool proxy_protocol = false;  // each connection begins with a PROXY header
};

struct Deadlines {
  milliseconds head{10000};   // from a request's first byte (or the connection's start) to the end of its head
  milliseconds body{30000};   // from there to the end of its body
  milliseconds write{30000};  // for a response to be taken by the client
  milliseconds idle{75000};   // between requests
};

struct Retry {
  uint32_t attempts = 5;
  milliseconds base{60000};
  double factor = 2;
  milliseconds cap{3600000};
  double jitter = 0.1;  // ± this share of the delay
  milliseconds postpone_for{std::chrono::days(3)};  // since the event came: until then putting a delivery off costs no attempt
};

struct Breaker {
  uint32_t failures = 5;  // in a row
  milliseconds open_for{30000};
};

// When a plugin that crashes is not called any more. All of `crashes` of one build, within the time.
struct Quarantine {
  uint32_t crashes = 5;
  milliseconds within{std::chrono::hours(1)};
  milliseconds lasts{std::chrono::hours(1)};  // since the last of them
};

// dispatch's policies; where a plugin or subscription sets some, the others are inherited.
struct Policies {
  Retry retry;
  Breaker breaker;
  milliseconds deadline{30000};  // of one handler run
  bool retry_is_own = false, deadline_is_own = false;  // said for this plugin or subscription, not for all
  uint32_t crash_attempts = 2;   // runs that end the gateway; then the delivery is dead
};

// What an operator may set on a plugin's route; unset: the plugin's own.
struct RouteOverride {
  std::string path;  // the route's template, as the plugin declares it
  Mark mark;
  std::optional<milliseconds> wait;      // event routes
  std::optional<milliseconds> deadline;  // reply routes
  std::optional<double> rate;  // requests a second
  std::optional<double> rate_per_client;  // likewise, of each client
  std::vector<std::string> allow;  // CIDR; empty: everybody
  std::optional<uint64_t> max_body;  // bytes
  std::optional<int> reject_status;  // 400, 401 or 403
  std::optional<bool> ordered;
  std::optional<milliseconds> dedupe_window;
};

// What an operator may say of a plugin's events.
struct EventOverride {
  std::string type;  // glob, with or without the plugin's name before it
  Mark mark;
  std::optional<bool> critical;  // somebody must hear of it when a delivery dies
};

struct AllowedHost {
  std::string pattern;  // "api.example.com", "*.example.com", "api.example.com:8443"; checked where it is used
  Mark mark;
};

// What an operator may set on an upstream that a plugin calls; unset: the plugin's own.
struct UpstreamOverride {
  std::string name;  // as the plugin declares it
  Mark mark;
  std::optional<uint32_t> attempts;
  std::optional<milliseconds> base, cap;  // of the waits between them
  std::optional<uint32_t> failures;       // in a row, that open the breaker
  std::optional<milliseconds> open_for;
  std::optional<milliseconds> deadline;    // of a request, attempts and waits included
  std::optional<uint32_t> max_in_flight;
  std::optional<uint64_t> max_response;    // bytes
  std::optional<std::vector<AllowedHost>> allow_hosts;  // where whole URLs may lead, instead of what the plugin allows
};

struct Plugin {
  std::string name;
  Mark mark;
  std::string library;       // as written; relative: in plugin_dir
  std::string config_json;   // `config:` as JSON, secrets filled in; "{}" when absent
  std::map<std::string, Mark> config_marks;  // JSON pointer → place; "" is the `config:` itself
  Policies policies;
  Quarantine quarantine;
  std::vector<RouteOverride> routes;
  std::vector<EventOverride> events;  // in the order of the file; the last that matches counts
  std::vector<UpstreamOverride> upstreams;
  bool at_fault = false;  // its entry has faults: asking the plugin itself would only tell of them again
};

// One line of a subscription's `when:`. What is not set says nothing; a source may have several values (headers, parameters).
struct Condition {
  enum class Source { kJson, kForm, kHeader };
  Source source = Source::kJson;
  std::string name = {};                        // a JSON pointer (RFC 6901), checked where it is used; a parameter; a header
  std::optional<bool> exists = {};              // whether there is a value; JSON's null is none
  std::vector<std::string> is = {};             // globs: some value matches one of them
  std::vector<std::string> is_not = {};         // likewise: no value matches any
  std::optional<double> at_least = {};          // some value is a number, and in that range
  std::optional<double> at_most = {};
  Mark mark = {};
};

struct Subscription {
  std::string name;  // unique per plugin; default: `on`
  Mark mark;
  std::string on;      // type glob
  std::vector<Condition> when;  // all of them must hold
  std::string plugin;
  std::string with_json;  // "{}" when absent
  std::map<std::string, Mark> with_marks;  // as config_marks
  Policies policies;
};

struct Admin {
  std::string listen;  // empty: no TCP listener
  std::optional<Tls> tls;  // of that one
  std::string socket = "/run/postern/admin.sock";
  std::string token;
  bool open_metrics = false;
  std::vector<std::string> allow_details;  // CIDR: who sees health details on the public listeners
};

// When /api/health/dispatch says degraded.
struct Health {
  uint64_t max_waiting = 1000;  // deliveries that are not settled
  double min_success = 0.5;     // share of the handlers' runs within the window
  milliseconds window{300000};
};

// When stored events are removed; 0: never for that reason.
struct Retention {
  milliseconds age{std::chrono::days(30)};   // of events whose deliveries are all done
  milliseconds dead{std::chrono::days(90)};  // of dead deliveries, since they died
  uint64_t size = 0;                         // of the store, in bytes
};

struct Config {
  std::string file;
  std::vector<Listen> listen;
  uint32_t loops = 0;  // 0: one per two cores, two on two or three
  std::string public_url;
  std::vector<std::string> trusted_proxies;
  uint64_t max_body = 1 << 20;
  uint32_t max_connections = 10000;
  uint32_t max_connections_per_client = 1000;  // 0: no limit
  std::optional<double> rate_per_client;       // requests a second, to whatever path
  uint64_t min_body_rate = 500;                // bytes a second; 0: however slow
  Deadlines deadlines;
  std::string log_level = "info";
  bool core_dumps = false;
  Admin admin;
  std::string store_path = "/var/lib/postern/events.db";
  Retention retention;
  uint32_t workers = 8;
  uint64_t max_backlog = 5000000;
  milliseconds drain{20000};
  Policies policies;
  Quarantine quarantine;
  Health health;
  milliseconds dedupe_window{std::chrono::hours(72)};
  std::string plugin_dir = "/usr/lib/postern/plugins";
  std::vector<Plugin> plugins;
  std::vector<Subscription> subscriptions;
};

struct Loaded {
  Config config;
  std::vector<Fault> faults;  // in the order of the file; when there are any, the config must not be used
};

// The place of a JSON pointer, or the nearest one around it that the file has.
Mark nearest(const std::map<std::string, Mark>& marks, std::string pointer, Mark otherwise);

// Reads and checks a file. A file that cannot be read is a fault at 1:1.
Loaded load_config(const std::string& path);

// "file:line:column: message"
std::string to_text(const std::string& file, const Fault& fault);

}  // namespace postern::config
