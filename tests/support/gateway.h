// Gateway: the real daemon, started in a folder of its own with generated secrets and a free port, and gone with the
// test. Errors of the set-up are exceptions (std::runtime_error) which carry the end of the gateway's log.
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/signing.h"
#include "tests/support/sqlite_reader.h"
#include "tests/support/wire_client.h"

namespace postern::testing {

inline constexpr std::string_view kOpenphonePath = "/api/v1/webhooks/openphone";

// Pieces of YAML, each put where its name says.
struct GatewayOptions {
  std::string public_url{};     // default: the address that it listens on; "none": not set
  std::string gateway{};        // lines of the mapping `gateway:`, indented by two spaces
  std::string admin{};          // inside the braces of `admin: {…}`, after the socket
  std::string dispatch{};       // inside the braces of `dispatch: {…}`
  std::string health{};         // inside the braces of `health: {…}`
  std::string route{};          // inside the braces of the openphone route: "wait: 5s, rate: 5/s"
  std::string plugins{};        // more entries of `plugins:`, indented by two spaces
  std::string subscriptions{};  // entries of `subscriptions:`, indented by two spaces
  bool standard = true;         // which of openphone's schemes have a secret
  bool legacy = true;
  bool own = true;
};

class Gateway {
 public:
  // Writes the configuration and starts.
  explicit Gateway(GatewayOptions options = {});
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Until GET /health answers 200; returns how long that took.
  milliseconds start(milliseconds timeout = milliseconds(10000));
  // SIGTERM; a gateway that has not gone after `timeout` is killed, which shows as signal 9.
  Exit stop(milliseconds timeout = milliseconds(30000));
  void kill();
  milliseconds restart();
  bool running() { return process_ && process_->running(); }
  Process& process() { return *process_; }

  uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  const std::string& folder() const { return folder_; }
  std::string config_file() const { return folder_ + "/gateway.yaml"; }
  std::string socket_path() const { return folder_ + "/admin.sock"; }
  std::string store_path() const { return folder_ + "/events.db"; }
  std::string log() const;
  // Whether a line with `text` comes: lines are written by a thread of their own, so that one may be later than the answer.
  bool logs(const std::string& text) const;
  const std::string& standard_secret() const { return standard_secret_; }
  const std::string& legacy_key() const { return legacy_key_; }
  const std::string& own_secret() const { return own_secret_; }

  WireClient connect() const { return WireClient::tcp("127.0.0.1", port_); }
  StoreReader store() const { return StoreReader(store_path()); }

  // One request on a connection of its own. Throws when there is no answer.
  Response request(std::string_view method, std::string_view target, const Headers& headers = {},
                   std::string_view body = {}) const;
  // POST to openphone's route with content type JSON and these headers.
  Response post(const Headers& headers, std::string_view body) const;
  // The same, signed by the current scheme, now.
  Response post_signed(std::string_view id, std::string_view body) const;
  Headers sign(std::string_view id, std::string_view body) const;

  // `postern ARGS… -c FILE`, with the environment that the configuration needs.
  Finished command(std::vector<std::string> args, milliseconds timeout = milliseconds(30000)) const;
  // Rewrites gateway.yaml; takes effect at the next start.
  void write_config(const std::string& yaml) const;
  std::string config() const;

 private:
  std::vector<std::pair<std::string, std::string>> environment() const;
  bool answers() const;

  GatewayOptions options_;
  std::string folder_;
  uint16_t port_ = 0;
  std::string standard_secret_ = new_standard_secret();
  std::string legacy_key_ = new_legacy_key();
  std::string own_secret_ = new_own_secret();
  std::unique_ptr<Process> process_;
};

// A message.received of the current generation (API 2026-03-30).
std::string message_body(std::string_view event_id, std::string_view conversation = "CN1",
                         std::string_view text = "Hello");

// An id as a provider makes them: "EV" and 32 random hex digits.
std::string new_event_id();

// A TCP port of 127.0.0.1 that nobody has at the moment.
uint16_t free_port();

// Where the daemon and the plugins were built.
std::string postern_binary();
std::string plugin_folder();

}  // namespace postern::testing
