// Roster: who takes deliveries in one generation of the configuration, and where the events go that they emit.
// Thread-safety: const once a dispatcher has it.
#pragma once

#include <string>
#include <vector>

#include "core/dispatch/critical_types.h"
#include "core/dispatch/subscriber.h"
#include "core/ingest/target_table.h"

namespace postern::dispatch {

struct Roster {
  std::vector<std::string> plugins;  // whose timers fire
  std::vector<Subscriber> subscribers;
  ingest::TargetTable targets;
  CriticalTypes critical;
};

}  // namespace postern::dispatch
