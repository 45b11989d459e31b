#include "core/cli/command.h"

#include "core/cli/output.h"

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

std::optional<Ready> assemble_or_tell(const std::string& file) {
  config::Loaded loaded = config::load_config(file);
  auto assembly = gateway::Assembly::make(loaded.config, loaded.faults);
  if (loaded.faults.empty()) return Ready{std::move(loaded.config), std::move(assembly)};
  tell_faults(file, loaded.faults);
  return std::nullopt;
}

}  // namespace postern::cli
