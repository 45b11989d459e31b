// The environment variables that ${env:NAME} stands for, and where they are once they have been taken out of the environment: a child
// of the process, or whoever reads /proc/PID/environ, does not find secrets there. A later load of the configuration still does.
// Thread-safety: find() any thread; take() while no other thread reads the environment.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace postern::config {

// The variable's value, from the environment or from what was taken out of it; nothing when there is none. From then on it counts as
// used, so that take_used_variables() takes it.
std::optional<std::string> find_variable(const std::string& name);

// Every variable that was used and is still in the environment goes: out of what getenv() and children see, and overwritten where
// the kernel put it at the start.
void take_used_variables();

// "NAME=value" of the environment as it is, and of all that was taken out of it: for a process of our own that reads the same
// configuration, and for no other.
std::vector<std::string> environment_with_taken_variables();

}  // namespace postern::config
