// What the command line of the load generator says. Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <string>

namespace postern::load {

enum class Scheme { kStandard, kLegacy, kOwn, kTwilio };

struct Options {
  std::string host = "127.0.0.1";
  std::string port = "8080";
  std::string path;        // as on the command line; empty: that of the scheme
  std::string public_url;  // that of the gateway, without a trailing slash; Twilio signs it
  bool tls = false;
  uint32_t connections = 64;
  uint32_t threads = 1;
  double duration_s = 0;  // 0: until `requests` are answered
  uint64_t requests = 0;  // 0: until `duration_s` is over
  double rate = 0;        // requests per second in all; 0: closed loop, each connection as fast as it is answered
  Scheme scheme = Scheme::kStandard;
  std::string secret;
  uint32_t body_size = 700;  // bytes
  std::string type = "message.received";
  uint64_t conversations = 0;  // 0: one for each event
  double duplicates = 0;       // share of the requests, 0 to 1
  bool fixed = false;          // --static
  bool retry = false;
  std::string journal;
  bool journal_unacked = false;
  double timeout_s = 30;
  double give_up_s = 10;
  bool stop_on_error = false;
  bool json = false;
  bool quiet = false;
};

}  // namespace postern::load
