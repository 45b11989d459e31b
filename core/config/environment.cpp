#include "core/config/environment.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "core/base/mutex.h"

namespace postern::config {
namespace {

Mutex mutex;
std::set<std::string> used GUARDED_BY(mutex);
std::map<std::string, std::string> taken GUARDED_BY(mutex);

}  // namespace

std::optional<std::string> find_variable(const std::string& name) {
  MutexLock lock(mutex);
  // What somebody has set since is newer.
  if (const char* value = std::getenv(name.c_str())) {
    used.insert(name);
    return value;
  }
  auto at = taken.find(name);
  return at == taken.end() ? std::nullopt : std::optional(at->second);
}

void take_used_variables() {
  MutexLock lock(mutex);
  for (const std::string& name : used) {
    char* value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    taken[name] = value;
    ::explicit_bzero(value, std::strlen(value));
    ::unsetenv(name.c_str());
  }
  used.clear();
}

std::vector<std::string> environment_with_taken_variables() {
  MutexLock lock(mutex);
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) all.emplace_back(*entry);
  for (const auto& [name, value] : taken) {
    if (std::getenv(name.c_str()) == nullptr) all.push_back(name + "=" + value);
  }
  return all;
}

}  // namespace postern::config
