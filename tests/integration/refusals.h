// What a gateway's metrics say of refusals.
#pragma once

#include <sstream>
#include <string>

#include "tests/support/gateway.h"

namespace postern::testing {

// The lines of /metrics about refusals.
inline std::string refusals_of(const Gateway& gateway) {
  WireClient client = WireClient::unix_socket(gateway.socket_path());
  client.send(request_text("GET", "/metrics", {}));
  auto response = client.read_response();
  std::istringstream lines(response ? response->body : "");
  std::string refusals;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("postern_refusals_total")) refusals += line + "\n";
  }
  return refusals;
}

}  // namespace postern::testing
