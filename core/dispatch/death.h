// What happens when a delivery is given up, whatever it died of. Thread-safety: pure but for the log.
#pragma once

#include <string>

#include "core/dispatch/roster.h"
#include "core/store/store.h"

namespace postern::dispatch {

// Logs it, and where the event is critical adds the notice for whoever subscribes to it to what the settlement emits.
void tell_of_death(store::Settlement& death, const store::StoredEvent& event, const std::string& subscriber, const Roster& roster);

}  // namespace postern::dispatch
