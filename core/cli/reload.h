// Waiting for a reload of the running gateway. Thread-safety: main's thread.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>

#include "core/cli/command.h"

namespace postern::cli {

// What the gateway says of reloads when that one has ended: "error" is null where it was not refused. Nothing, with the exit status in
// `status`: nobody answers (told on stderr), or it has not ended in time.
std::optional<nlohmann::json> wait_for_reload(const Options& options, uint64_t number, int64_t within_s, int& status);

}  // namespace postern::cli
