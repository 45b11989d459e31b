// What becomes of a delivery in which the gateway crashed: the crash is an attempt of it, and after so many of them it is dead, whatever it
// has left of other attempts: it must not end the gateway for ever. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <memory>

#include "core/config/config.h"
#include "core/dispatch/roster.h"
#include "core/store/crashes.h"
#include "core/store/store.h"

namespace postern::dispatch {

// `earlier`: attempts of it that ended the gateway before. Null: it is settled already.
std::unique_ptr<store::Settlement> settle_crash(const store::DeliveryRow& delivery, const store::StoredEvent& event,
                                                const store::Crash& crash, uint32_t earlier, const config::Policies& policies,
                                                const Roster& roster);

}  // namespace postern::dispatch
