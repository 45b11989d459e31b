// gateway: and admin: — what the process listens on and how it treats connections.

#include <fmt/format.h>

#include "core/config/addresses.h"
#include "core/config/sections.h"
#include "core/config/values.h"

namespace postern::config {

namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMaxRate = 1ull << 30;

// "unix:./a" and "unix:a" stay different: only a listener's bind() can tell that two paths are one file.
bool same_address(const std::string& a, const std::string& b) {
  return a == b && (a.starts_with("unix:") || !a.ends_with(":0"));  // port 0 is another one each time
}

bool add_listen(Section& gateway, Config& config, const Node& node, const std::string& what) {
  const std::optional<std::string> address = read_value(gateway.context(), node, what, parse_listen);
  if (!address) return false;
  for (const Listen& other : config.listen) {
    if (!same_address(other.address, *address)) continue;
    gateway.context().faults.add(node.mark, fmt::format("{}: {} is listened on twice; first in line {}", what,
                                                        quote(node.text), other.mark.line));
    return false;
  }
  config.listen.push_back({*address, node.mark});
  return true;
}

void read_listen_mapping(Section& gateway, Config& config, const Node& node, const std::string& what) {
  Section entry(gateway.context(), node, node.mark, what);
  const Member* address = entry.require("address");
  const bool added = address && add_listen(gateway, config, *address->value, what + ".address");
  std::optional<Tls> tls = read_tls(entry);
  bool proxy_protocol = false;
  entry.flag("proxy_protocol", proxy_protocol);
  const Member* trusted = gateway.find("trusted_proxies");
  if (proxy_protocol && (!trusted || trusted->value->items.empty()))
    entry.fault(entry.find("proxy_protocol")->value->mark, "proxy_protocol",
                "needs gateway.trusted_proxies: the header is believed from them alone, and nobody else may connect");
  if (!added) return;
  config.listen.back().tls = std::move(tls);
  config.listen.back().proxy_protocol = proxy_protocol;
}

void read_listen(Section& gateway, Config& config) {
  const Member* listen = gateway.require("listen");
  if (!listen) return;
  const auto one = [&](const Node& node, const std::string& what) {
    if (node.kind == Kind::kMapping) {
      read_listen_mapping(gateway, config, node, what);
    } else {
      add_listen(gateway, config, node, what);
    }
  };
  const Kind kind = listen->value->kind;
  if (kind == Kind::kNull || (kind == Kind::kSequence && listen->value->items.empty())) {
    gateway.fault(listen->mark, "listen", "needs an address at least");
  } else if (kind == Kind::kSequence) {
    gateway.list("listen", one);
  } else {
    one(*listen->value, gateway.path("listen"));
  }
}

void read_deadlines(Section& section, Deadlines& deadlines) {
  section.duration("head", deadlines.head, {1ms, 24h});
  section.duration("body", deadlines.body, {1ms, 24h});
  section.duration("write", deadlines.write, {1ms, 24h});
  section.duration("idle", deadlines.idle, {1ms, 24h});
}

void add_admin_listen(Section& admin, Config& config, const Node& node, const std::string& what) {
  const std::optional<std::string> address = read_value(admin.context(), node, what, parse_endpoint);
  if (!address) return;
  config.admin.listen = *address;
  for (const Listen& other : config.listen)
    if (same_address(other.address, *address))
      admin.context().faults.add(node.mark, fmt::format("{}: {} is gateway.listen's already (line {})", what,
                                                        quote(node.text), other.mark.line));
}

void read_admin_listen(Section& admin, Config& config, const Node& node) {
  const std::string what = admin.path("listen");
  if (node.kind != Kind::kMapping) return add_admin_listen(admin, config, node, what);
  Section entry(admin.context(), node, node.mark, what);
  if (const Member* address = entry.require("address")) add_admin_listen(admin, config, *address->value, what + ".address");
  config.admin.tls = read_tls(entry);
}

}  // namespace

void read_gateway(Section& gateway, Config& config) {
  read_listen(gateway, config);
  gateway.count("loops", config.loops, Range<uint32_t>{0, 256});
  gateway.parsed("public_url", config.public_url, parse_public_url);
  gateway.ranges("trusted_proxies", config.trusted_proxies);
  gateway.size("max_body", config.max_body, {1, kMaxBody});
  gateway.count("max_connections", config.max_connections, Range<uint32_t>{1, 1000000});
  gateway.count("max_connections_per_client", config.max_connections_per_client, Range<uint32_t>{0, 1000000});
  gateway.rate("rate_per_client", config.rate_per_client);
  gateway.size("min_body_rate", config.min_body_rate, {0, kMaxRate});
  gateway.section("deadlines", [&](Section& deadlines) { read_deadlines(deadlines, config.deadlines); });
  gateway.choice("log_level", config.log_level, {"trace", "debug", "info", "warn", "error"});
  gateway.flag("core_dumps", config.core_dumps);
}

void read_admin(Section& admin, Config& config) {
  const Member* listen = admin.find("listen");
  if (listen) read_admin_listen(admin, config, *listen->value);
  const Member* socket = admin.find("socket");
  if (admin.parsed("socket", config.admin.socket, parse_socket_path)) {
    for (const Listen& other : config.listen)
      if (same_address(other.address, "unix:" + config.admin.socket))
        admin.fault(
            socket->value->mark, "socket",
            fmt::format("{} is gateway.listen's already (line {})", quote(socket->value->text), other.mark.line));
  }
  admin.secret("token", config.admin.token);
  if (listen && !admin.find("token"))
    admin.fault(listen->mark, "listen", "needs admin.token; without it anybody is let in");
  admin.flag("open_metrics", config.admin.open_metrics);
  admin.ranges("allow_details", config.admin.allow_details);
}

}  // namespace postern::config
