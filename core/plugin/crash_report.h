// CrashReport: what the record of an earlier life says about its end (see crash_format.h), and what follows from it: who has crashed, and
// which deliveries are suspected. What it reads may be of another program, cut short or damaged by a power cut: nothing in it is believed
// that does not fit.
// Thread-safety: pure functions, but for those that read files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/store/crashes.h"

namespace postern::plugin {

struct CrashReport {
  std::string told;                   // what people should read in the log; empty: nothing happened
  std::optional<store::Crash> crash;  // whose it is
  std::vector<int64_t> suspects;      // deliveries, of which one may have ended the gateway
};

// Nothing: there is no such file. kCorrupt: it is no record, or not all of one.
Result<std::optional<CrashReport>> read_crash_report(const std::string& path);

namespace crash {

// The id of this boot of the machine.
std::string this_boot();
// Copies the record in `fd` to `died`, if it tells of an end that was not in order, and there is no such file yet.
Status keep_death(const std::string& path, int fd, const std::string& died);

}  // namespace crash
}  // namespace postern::plugin
