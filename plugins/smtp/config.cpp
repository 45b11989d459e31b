#include "config.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <postern/unknown_key.hpp>

#include "config_inbound.h"
#include "config_templates.h"
#include "refused.h"

namespace smtp {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint64_t kMaxConnections = 32;

bool is_host(std::string_view host) {
  return std::all_of(host.begin(), host.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':'; });
}

// Not by name: what a name stands for is somebody else's to say.
bool is_loopback(const std::string& host) {
  in_addr four{};
  in6_addr six{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return host == "localhost";
}

// A name, an address literal, or nothing.
bool is_ehlo_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
}

void read_tls(Section& in, Server& server) {
  std::string tls = "starttls";
  uint64_t port = 0;
  in.read_choice("tls", tls, {"starttls", "implicit", "none"});
  in.read("port", port, 1, 65535);
  server.tls = tls == "none" ? Tls::kNone : tls == "implicit" ? Tls::kImplicit : Tls::kStartTls;
  const uint64_t usual = server.tls == Tls::kImplicit ? 465 : server.tls == Tls::kStartTls ? 587 : 25;
  server.port = static_cast<uint16_t>(port == 0 ? usual : port);
  in.read("ca_file", server.ca_file, 4096);
  if (!server.ca_file.empty() && ::access(server.ca_file.c_str(), R_OK) != 0) in.fault("ca_file", "cannot be read");
}

// The same names in lower case, each once. A mechanism that the credential does not fit is a mistake.
void read_mechanisms(Section& in, Server& server) {
  const json* list = in.any("auth");
  if (list == nullptr) return;
  if (!list->is_array() || list->empty()) return in.fault("auth", "must be a list of plain, login and xoauth2");
  for (size_t i = 0; i < list->size(); ++i) {
    const json& one = (*list)[i];
    const std::string at = "auth/" + std::to_string(i);
    const std::string name = one.is_string() ? one.get<std::string>() : "";
    if (name != "plain" && name != "login" && name != "xoauth2") {
      in.fault_at(at, "auth[" + std::to_string(i) + "] must be one of plain, login, xoauth2");
      continue;
    }
    if ((name == "xoauth2") == server.access_token.empty() && !server.user.empty()) {
      in.fault_at(at, name == "xoauth2" ? "xoauth2 goes with an access_token, not with a password"
                                        : name + " goes with a password, not with an access_token");
    }
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    server.mechanisms.push_back(upper);
  }
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

void read_credentials(Section& in, Server& server) {
  for (auto [name, text, longest] : {std::tuple("user", &server.user, size_t{320}), std::tuple("password", &server.password, size_t{1024}),
                                     std::tuple("access_token", &server.access_token, size_t{8192})}) {
    in.read(name, *text, longest);
    if (has_control(*text)) in.fault(name, "has a line break or another control character; is there one at the end of its file?");
  }
  const bool secret = in.has("password") || in.has("access_token");
  if (in.has("password") && in.has("access_token")) in.fault("access_token", "stands beside a password; one of them logs in");
  if (in.has("user") && !secret) in.fault("user", "needs a password or an access_token");
  if (!in.has("user") && secret) in.fault(in.has("password") ? "password" : "access_token", "needs a user");
  if (server.tls == Tls::kNone && secret && !is_loopback(server.host)) {
    in.fault("tls", "none would send the password in clear; that is only allowed to this machine");
  }
  read_mechanisms(in, server);
}

void read_server(Section& in, Server& server) {
  in.read("host", server.host, 253);
  if (!in.has("host")) in.fault("", "host is missing: the mail server's name, as host: smtp.example.com");
  if (!is_host(server.host)) in.fault("host", "must be a name or an address, without a port");
  read_tls(in, server);
  read_credentials(in, server);
  in.read("ehlo_name", server.ehlo_name, 255);
  if (!is_ehlo_name(server.ehlo_name)) in.fault("ehlo_name", "must be a host name, or an address in brackets");
  uint64_t connections = server.connections;
  in.read("connections", connections, 1, kMaxConnections);
  server.connections = connections;
  in.read("connect_timeout", server.connect_timeout, milliseconds(100), minutes(5));
  in.read("deadline", server.deadline, milliseconds(100), minutes(30));
}

void read_mailbox(Section& in, const char* name, Mailbox& mailbox) {
  std::string text;
  in.read(name, text, 800);
  if (text.empty()) return;
  try {
    mailbox = parse_mailbox(name, text);
  } catch (const Refused& refused) {
    in.fault_at(name, refused.what());
  }
}

void read_health(Section in, HealthOptions& health) {
  in.read("connect", health.connect);
  in.read("every", health.every, seconds(10), hours(24));
  in.finish();
}

// Whoever has one can send mail in our name, so it must not be guessed.
void read_api(Section in, std::vector<std::string>& tokens) {
  constexpr size_t kLeast = 16, kMost = 20;
  const json* list = in.any("tokens");
  const bool fits = list == nullptr || (list->is_array() && !list->empty() && list->size() <= kMost);
  if (!fits) in.fault("tokens", "must be a list of 1 to 20 texts");
  for (size_t i = 0; list != nullptr && list->is_array() && i < std::min(list->size(), kMost); ++i) {
    const std::string token = (*list)[i].is_string() ? (*list)[i].get<std::string>() : "";
    const bool visible = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (token.size() >= kLeast && visible) {
      tokens.push_back(token);
    } else {
      const std::string number = std::to_string(i);
      in.fault_at("tokens/" + number, "tokens[" + number + "] must be at least 16 visible ASCII characters; `openssl rand -hex 32` makes one");
    }
  }
  in.finish();
}

// One or several, as texts that read_order() will take.
void read_recipients(Section& in, std::vector<std::string>& to) {
  const json* given = in.any("to");
  if (given == nullptr) return in.fault("to", "is missing: whom to mail, as to: ops@example.com");
  const json list = given->is_array() ? *given : json::array({*given});
  constexpr size_t kMost = 50;
  if (list.empty() || list.size() > kMost) in.fault("to", "must be an address, or a list of 1 to 50");
  for (size_t i = 0; i < std::min(list.size(), kMost); ++i) {
    try {
      to.push_back(list[i].is_string() ? list[i].get<std::string>() : "");
      parse_mailbox("to", to.back());
    } catch (const Refused& refused) {
      in.fault_at(given->is_array() ? "to/" + std::to_string(i) : "to", refused.what());
    }
  }
}

void read_alerts(Section in, AlertOptions& alerts) {
  read_recipients(in, alerts.to);
  std::vector<std::string> on(std::begin(kAlertTypes), std::end(kAlertTypes));
  in.read("on", on, std::size(kAlertTypes));
  for (size_t i = 0; i < on.size(); ++i) {
    if (on[i].starts_with("postern.")) on[i].erase(0, std::string_view("postern.").size());
    const bool known = std::find(std::begin(kAlertTypes), std::end(kAlertTypes), on[i]) != std::end(kAlertTypes);
    if (!known) in.fault_at("on/" + std::to_string(i), "on[" + std::to_string(i) + "]: " + postern::unknown_key(on[i], kAlertTypes));
    if (std::find(alerts.on.begin(), alerts.on.end(), on[i]) == alerts.on.end()) alerts.on.push_back(on[i]);
  }
  in.read("gather", alerts.gather, milliseconds(100), hours(1));
  in.read("interval", alerts.interval, seconds(1), hours(24));
  in.finish();
}

void read_digest(Section in, DigestOptions& digest) {
  read_recipients(in, digest.to);
  std::string at;
  in.read("at", at, 5);
  int hour = 0, minute = 0, end = 0;
  const bool fits = at.empty() || (at.size() == 5 && std::sscanf(at.c_str(), "%2d:%2d%n", &hour, &minute, &end) == 2 && end == 5 &&
                                   hour >= 0 && hour < 24 && minute >= 0 && minute < 60);
  if (!fits) in.fault("at", "must be a time of day by this machine's clock, as \"07:30\"");
  if (fits && !at.empty()) digest.at = hour * 60 + minute;
  in.finish();
}

}  // namespace

Config read_config(std::string_view text, const ReportFault& report) {
  Config config;
  const json root = json::parse(text, nullptr, false);
  if (root.is_discarded() || !(root.is_object() || root.is_null())) {
    report("", "config must be a mapping");
    return config;
  }
  Section in(root, "", report);
  read_server(in, config.server);
  read_mailbox(in, "from", config.from);
  if (!in.has("from")) in.fault("", "from is missing: the sender, as from: Postern <postern@example.com>");
  Mailbox reply_to;
  read_mailbox(in, "reply_to", reply_to);
  if (!reply_to.address.empty()) config.reply_to = std::move(reply_to);
  read_health(in.section("health"), config.health);
  read_api(in.section("api"), config.api_tokens);
  read_inbound(in.section("inbound"), config.sendgrid);
  read_templates(in.section("templates"), config.templates);
  if (in.has("alerts")) read_alerts(in.section("alerts"), config.alerts);
  if (in.has("digest")) read_digest(in.section("digest"), config.digest);
  in.read("keep", config.keep, hours(7 * 24), hours(366 * 24));
  in.finish();
  return config;
}

}  // namespace smtp
