#include "probe.h"

#include "lane.h"

namespace smtp {

ProbeResult probe(const Server& server) {
  using std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kForNoop{3'000};
  const auto began = steady_clock::now();
  const Cleaner clean(server);
  const Halt halt;
  Lane lane(server, clean, halt);
  const Outcome outcome = lane.probe(began + server.connect_timeout + kForNoop);
  return {outcome.result, outcome.text, std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began)};
}

}  // namespace smtp
