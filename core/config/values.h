// Values as people write them: durations, sizes, rates, numbers.
//
// A fault's text completes a sentence that begins with the value ("'5x' is not a duration; …"); it never repeats it.
// Nothing overflows: what does not fit is refused. Thread-safety: any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/base/status.h"

namespace postern::config {

// 250ms, 5s, 10m, 1h30m, 3d; units from large to small, each once; or 0.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// Bytes: 512, 64KiB, 1MiB, 2GiB (1024), 5kB, 1MB, 2GB (1000).
Result<uint64_t> parse_size(std::string_view text);

// Requests a second, from 100/s, 30/m, 5/h; more than none, at most 1,000,000 a second.
Result<double> parse_rate(std::string_view text);

// YAML's core schema (YAML 1.2.2, 10.3.2).
Result<bool> parse_flag(std::string_view text);
Result<uint64_t> parse_count(std::string_view text);  // a whole number, not negative, decimal
Result<double> parse_real(std::string_view text);     // finite

}  // namespace postern::config
