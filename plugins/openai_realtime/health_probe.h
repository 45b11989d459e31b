// A handshake with the Realtime API, to see whether it can be used. Thread-safety: any thread.
#pragma once

#include <postern/plugin.hpp>

#include "config.h"

namespace openai_realtime {

// Waits for the first event of a session, some seconds at most, and ends it.
postern::Health probe(const Config& config, const postern::Sessions& sessions);

}  // namespace openai_realtime
