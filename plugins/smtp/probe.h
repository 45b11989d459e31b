// Probe: whether the mail server would take a mail now: connect, EHLO, TLS, AUTH, NOOP, QUIT. Thread-safety: any thread; it waits.
#pragma once

#include <chrono>
#include <string>

#include "outcome.h"
#include "server.h"

namespace smtp {

struct ProbeResult {
  Class result = Class::kTransient;
  std::string text;
  std::chrono::milliseconds took{};
};

// On a connection of its own. Ends within the server's connect_timeout and a few seconds more.
ProbeResult probe(const Server& server);

}  // namespace smtp
