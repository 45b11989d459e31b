// What the other extensions must know of a call of a service that runs on their thread. Thread-safety: any thread, each about itself.
#pragma once

#include <cstdint>
#include <optional>

namespace postern::extension {

// Milliseconds until its deadline, 0 when that has passed; nothing outside of such a call.
std::optional<int64_t> service_time_left();

}  // namespace postern::extension
