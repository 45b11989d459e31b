// Upstream: somebody whom the gateway calls, with what calls to it are held to; and what has become of them so far.
// Thread-safety: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/backoff.h"
#include "core/base/counters.h"
#include "core/base/status.h"
#include "core/client/outcome.h"

namespace postern::client {

struct Upstream {
  std::string plugin;  // whose it is
  std::string name;    // "api": unique within the plugin; in metrics
  // What requests by path go behind: "https://api.example.com/v1". The configuration or the plugin names it, so it may be on a private
  // network. Empty: only whole URLs.
  std::string base_url;
  // Where whole URLs may lead: "api.example.com", "*.example.com", with ":8443" for a port other than 80 and 443. Empty: to the base
  // URL's host. They are guarded: see url.h and address_guard.h.
  std::vector<std::string> allow_hosts;
  bool any_host = false;    // whole URLs lead anywhere public: for URLs from input. Then there is no breaker: one bad host is not all
  bool allow_http = false;  // whole URLs may be http; https always
  std::string ca_file;      // whom to trust, PEM; empty: whom the system trusts

  uint32_t attempts = 3;
  Backoff backoff{1000, 2, 30'000, 0.1};
  uint32_t breaker_failures = 5;  // in a row
  int64_t breaker_open_ms = 30'000;
  int64_t connect_ms = 5'000;   // name and TLS included
  int64_t attempt_ms = 10'000;  // one attempt, from its start to the last byte
  int64_t deadline_ms = 30'000; // the whole request, attempts and waits included
  uint32_t max_in_flight = 16;
  uint32_t max_waiting = 256;  // beside those in flight
  uint32_t max_redirects = 0;  // followed only to the same scheme, host and port; others are the answer
  uint64_t max_response = 1 << 20;  // bytes of body

  // Whether whole URLs may lead to names that the configuration does not know.
  bool allows_subdomains() const;
};

// kInvalid, saying what is wrong.
Status check(const Upstream& upstream);

// Ready for metrics. Counters are since the start.
struct UpstreamStatus {
  std::string plugin, name;
  uint64_t requests = 0;                         // that were taken on
  uint64_t attempts = 0;                         // that were sent
  uint64_t retries = 0;                          // of them, those after the first
  std::array<uint64_t, Outcome::kKinds> ended{};  // by Outcome::Kind; requests that were not taken on (busy, refused) too
  std::shared_ptr<const Histogram> attempt_seconds;  // how long attempts took that were not given up; goes on counting
  const char* breaker = "closed";
  uint64_t opens = 0;
  int64_t next_trial_at = 0;  // Unix milliseconds: when an open breaker lets a request through; 0: it is not open, or the trial is out
  uint32_t failures = 0;   // attempts in a row that said that the upstream is ill
  size_t in_flight = 0;
  size_t waiting = 0;      // for room, or for the next attempt
  std::string last_error;  // of an attempt or a refusal; without secrets
  int64_t last_error_at = 0;  // Unix milliseconds; 0: there was none
};

}  // namespace postern::client
