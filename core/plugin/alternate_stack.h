// AlternateStack: where a thread's signal handlers run, since its own stack may be what has overflowed.
// Thread-safety: belongs to one thread, which sets it up and ends with it.
#pragma once

#include <sys/mman.h>

#include <csignal>

namespace postern::plugin {

class AlternateStack {
 public:
  AlternateStack() = default;
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;
  ~AlternateStack() {
    if (memory_ == nullptr) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
    ::munmap(memory_, kSize);
  }

  // Unless the thread has one already, as a sanitizer gives each.
  void set_up() {
    stack_t is{};
    if (memory_ != nullptr || ::sigaltstack(nullptr, &is) != 0 || (is.ss_flags & SS_DISABLE) == 0) return;
    void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return;
    stack_t own{};
    own.ss_sp = memory;
    own.ss_size = kSize;
    if (::sigaltstack(&own, nullptr) == 0) {
      memory_ = memory;
    } else {
      ::munmap(memory, kSize);
    }
  }

 private:
  static constexpr size_t kSize = 64 * 1024;  // for the registers of any processor, and to walk the other stack

  void* memory_ = nullptr;
};

}  // namespace postern::plugin
