// What all calls of an instance share; outlives them. Thread-safety: any thread.
#pragma once

#include <postern/plugin.hpp>

#include "active_calls.h"
#include "completed.h"
#include "config.h"
#include "meters.h"
#include "token_book.h"

namespace openai_realtime {

// In init. What is wrong with `ca_file` is told now, and not when the first caller waits.
inline postern::Sessions sessions_of(const Config& config, postern::Setup& setup) {
  if (!config.enabled || !config.url.starts_with("wss://")) return setup.sessions();
  try {
    return setup.sessions(config.ca_file);
  } catch (const postern::Error&) {  // the gateway's log says what it was
    const bool own = !config.ca_file.empty();
    setup.config_fault(own ? "/ca_file" : "", own ? "ca_file must be a file with certificates in PEM that can be read"
                                                  : "the system's certificate authorities cannot be read; set ca_file");
    return setup.sessions();
  }
}

struct Shared {
  // In init.
  Shared(const Config& c, postern::Setup& setup)
      : config(c), sessions(sessions_of(c, setup)), publisher(setup.publisher()), completed(setup), log(setup.log()), meters(make_meters(setup)),
        tokens(c.api_key) {}

  const Config& config;
  postern::Sessions sessions;
  postern::Publisher publisher;
  Completed completed;
  postern::Log log;
  Meters meters;
  TokenBook tokens;
  ActiveCalls active;
};

}  // namespace openai_realtime
