// Inquest: at a start, what ended the life before is looked into: a plugin's crash is counted, with the attempt that it was of its
// delivery, and deliveries that may have done it without a word are named. It is counted once: the record is forgotten only when that is
// durable.
// Thread-safety: the control thread, with the store at work and no thread inside a plugin.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "core/config/config.h"
#include "core/dispatch/roster.h"
#include "core/plugin/crash_record.h"
#include "core/store/crashes.h"
#include "core/store/store.h"

namespace postern::gateway {

// The suspects, which the record remembers from now on. `otherwise`: the policies for a subscriber that the roster does not have.
Result<std::vector<int64_t>> hold_inquest(plugin::CrashRecord& record, store::Store& store, store::Crashes& crashes,
                                          const dispatch::Roster& roster, const config::Policies& otherwise);

}  // namespace postern::gateway
