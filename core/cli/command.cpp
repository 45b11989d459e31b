#include "core/cli/command.h"

#include "core/cli/output.h"
#include "core/cli/quiet_stdout.h"
#include "core/config/environment.h"

namespace postern::cli {
namespace {

void tell_faults(const std::string& file, const std::vector<config::Fault>& faults) {
  for (const config::Fault& fault : faults) complain(config::to_text(file, fault));
}

}  // namespace

std::optional<config::Config> load_or_tell(const std::string& file) {
  config::Loaded loaded = config::load_config(file);
  if (loaded.faults.empty()) return std::move(loaded.config);
  tell_faults(file, loaded.faults);
  return std::nullopt;
}

Ready::~Ready() {
  if (!assembly) return;
  QuietStdout quiet;
  assembly.reset();
}

std::optional<Ready> assemble_or_tell(const std::string& file, const std::function<void(const config::Loaded&)>& before_plugins) {
  config::Loaded loaded = config::load_config(file);
  config::take_used_variables();
  if (before_plugins) before_plugins(loaded);
  QuietStdout quiet;
  auto assembly = gateway::Assembly::make(loaded.config, loaded.faults);
  if (loaded.faults.empty()) return Ready{std::move(loaded.config), std::move(assembly)};
  tell_faults(file, loaded.faults);
  return std::nullopt;
}

}  // namespace postern::cli
