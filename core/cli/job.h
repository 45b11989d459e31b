// What commands share that start a job in the gateway and follow it: replay, drop, prune. Thread-safety: main's thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

#include "core/cli/command.h"
#include "core/cli/selection.h"

namespace postern::cli {

struct JobOptions {
  SelectionOptions selection;
  std::vector<std::string> ids;
  uint32_t rate = 1000;
  bool dry_run = false, yes = false, detach = false;
};

// What a job does, for people: "drop", "dropped", "dead delivery", "dead deliveries".
struct JobWords {
  const char* verb;
  const char* past;
  const char* one;
  const char* many;
};

// `--all`, `--dry-run`, `--yes`, `--detach` and, where it makes sense, `--rate`.
void add_job_options(CLI::App& command, JobOptions& wanted, bool with_rate);

// Counts, asks where there are many, starts and follows. `base`: "/admin/v1/dead"; `action`: "replay". Returns the exit status.
int run_job(const Options& options, const JobOptions& wanted, const std::string& base, const std::string& action, const JobWords& words);

// Until it has ended, with progress on a terminal; then the count, or the job as JSON.
int follow_job(const Options& options, nlohmann::json job, const JobWords& words);

// Whether to go on; asks on a terminal only.
bool confirmed(const std::string& question, bool yes);

}  // namespace postern::cli
