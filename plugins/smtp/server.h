// Server: the mail server as the configuration names it. Thread-safety: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace smtp {

enum class Tls {
  kStartTls,  // in clear until STARTTLS, which is demanded
  kImplicit,  // from the first byte
  kNone,      // never
};

struct Server {
  std::string host;
  uint16_t port = 0;
  Tls tls = Tls::kStartTls;
  std::string ca_file;                 // empty: those that the system trusts
  std::string user;                    // empty: no AUTH
  std::string password, access_token;  // one of them, where there is a user
  std::vector<std::string> mechanisms; // "PLAIN", "LOGIN", "XOAUTH2": those allowed; empty: the one that fits, the better ones first
  std::string ehlo_name;               // empty: this machine's name
  size_t connections = 4;
  std::chrono::milliseconds connect_timeout{20'000};  // until the server is ready for a mail: TCP, greeting, TLS, AUTH
  std::chrono::milliseconds deadline{60'000};         // of a mail, from its submission
  // After the final dot the reply is waited for so long at least: giving up early makes duplicates (RFC 5321, 4.5.3.2.6).
  std::chrono::milliseconds final_reply{60'000};
  // After a refused login or certificate nobody asks the server again for so long: no hammering.
  std::chrono::milliseconds hold{30'000};
};

}  // namespace smtp
