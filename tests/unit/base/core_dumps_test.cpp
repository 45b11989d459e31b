#include "core/base/core_dumps.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/places.h"

namespace postern {
namespace {

// In a child, since it cannot all be taken back. 0: as it should be.
template <typename Check>
int in_child(Check check) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(check());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

rlim_t core_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  return limit.rlim_cur;
}

TEST(CoreDumps, AreForbiddenAndAllowedAgain) {
  EXPECT_EQ(in_child([] {
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_CORE, &limit);
    ::prctl(PR_SET_DUMPABLE, 1);
    forbid_core_dumps();
    if (core_limit() != 0) return 1;
    if (::prctl(PR_GET_DUMPABLE) != 0) return 2;
    allow_core_dumps();
    if (core_limit() != limit.rlim_max) return 3;
    return ::prctl(PR_GET_DUMPABLE) == 1 ? 0 : 4;
  }), 0);
}

// What belongs to root in /proc once a process is not dumpable is not its own descriptors.
TEST(CoreDumps, AProcessWithoutThemLoadsALibraryFromItsMemoryAsAnyUser) {
  std::ifstream in(postern::testing::built("plugins/openphone.so"), std::ios::binary);
  const std::string plugin(std::istreambuf_iterator<char>(in), {});
  ASSERT_FALSE(plugin.empty());
  EXPECT_EQ(in_child([&] {
    int memory = ::memfd_create("plugin", MFD_CLOEXEC);
    if (::write(memory, plugin.data(), plugin.size()) != static_cast<ssize_t>(plugin.size())) return 1;
    if (::geteuid() == 0 && (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)) return 2;
    forbid_core_dumps();
    if (::prctl(PR_GET_DUMPABLE) != 0) return 3;
    void* library = ::dlopen(("/proc/self/fd/" + std::to_string(memory)).c_str(), RTLD_NOW | RTLD_LOCAL);
    return library != nullptr && ::dlsym(library, "postern_entry") != nullptr ? 0 : 4;
  }), 0);
}

// As whom /proc/self/exe shows only to itself.
TEST(CoreDumps, AProcessWithoutThemStartsItselfAgainAsAnyUser) {
  EXPECT_EQ(in_child([] {
    if (::geteuid() == 0 && (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)) return 2;
    forbid_core_dumps();
    pid_t child = 0;
    char name[] = "again", what[] = "--gtest_filter=None.None";
    char* arguments[] = {name, what, nullptr};
    if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0) return 3;
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
  }), 0);
}

}  // namespace
}  // namespace postern
