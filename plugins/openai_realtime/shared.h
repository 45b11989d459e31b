// What all calls of an instance share; outlives them. Thread-safety: any thread.
#pragma once

#include <postern/plugin.hpp>

#include "active_calls.h"
#include "config.h"
#include "meters.h"
#include "token_book.h"

namespace openai_realtime {

struct Shared {
  // In init.
  Shared(const Config& c, postern::Setup& setup)
      : config(c), sessions(setup.sessions()), publisher(setup.publisher()), log(setup.log()), meters(make_meters(setup)), tokens(c.api_key) {}

  const Config& config;
  postern::Sessions sessions;
  postern::Publisher publisher;
  postern::Log log;
  Meters meters;
  TokenBook tokens;
  ActiveCalls active;
};

}  // namespace openai_realtime
