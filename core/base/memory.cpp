#include "core/base/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

// jemalloc's, in programs that have it (MALLCTL NAMESPACE in its manual).
extern "C" [[gnu::weak]] int mallctl(const char* name, void* old_value, size_t* old_size, void* new_value, size_t new_size);

// jemalloc reads it at the start: an arena for each core instead of four, which saves a MB and costs no speed (measured).
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "percpu_arena:percpu";
}

namespace {

// On some of the machine's cores only (a container's cpuset, CPUAffinity=) it has the usual arenas, and a line for each program to say so:
// between log lines, and where errors are read. Called before main(), and where memory is broken: no more than a system call.
void say_unless_cores(void*, const char* text) {
  constexpr char kCores[] = "<jemalloc>: Number of CPUs detected is not deterministic";
  if (std::strncmp(text, kCores, sizeof kCores - 1) == 0) return;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
}

}  // namespace

// jemalloc's as well (its manual, "malloc_message").
extern "C" {
extern void (*malloc_message)(void* opaque, const char* text);
void (*malloc_message)(void* opaque, const char* text) = say_unless_cores;
}

namespace postern {

void give_back_memory() {
  constexpr unsigned kAllArenas = 4096;  // MALLCTL_ARENAS_ALL
  if (mallctl != nullptr) {
    mallctl(("arena." + std::to_string(kAllArenas) + ".purge").c_str(), nullptr, nullptr, nullptr, 0);
  } else {
    ::malloc_trim(0);
  }
}

}  // namespace postern
