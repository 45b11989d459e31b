#include "core/plugin/crash_signal.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <iterator>

#include "core/plugin/crash_record.h"

namespace postern::plugin {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

struct sigaction before_us[std::size(kSignals)];
// Known by address from the start: the handler must not wait for the linker to look them up.
_Unwind_Reason_Code (*volatile walk)(_Unwind_Trace_Fn, void*) = _Unwind_Backtrace;
_Unwind_Ptr (*volatile instruction_of)(_Unwind_Context*) = _Unwind_GetIP;

std::atomic<int32_t> noting{0};  // the thread that does
pid_t owner = 0;

uint64_t instruction(const void* context) {
  const auto* thread = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return static_cast<uint64_t>(thread->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return thread->uc_mcontext.pc;
#else
#error "how a context names its instruction is not known for this processor"
#endif
}

_Unwind_Reason_Code add_frame(_Unwind_Context* context, void* user) {
  auto& signal = *static_cast<crash::Signal*>(user);
  uint32_t count = signal.frames.load(std::memory_order_relaxed);
  if (count >= crash::kMaxBacktrace) return _URC_END_OF_STACK;
  signal.backtrace[count] = instruction_of(context);
  signal.frames.store(count + 1, std::memory_order_release);
  return _URC_NO_REASON;
}

void note(crash::Signal& signal, int number, const siginfo_t& info, const void* context, const crash::File& file) {
  signal.noted.store(crash::kBegun, std::memory_order_relaxed);
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  signal.number = number;
  bool by_kill = info.si_code <= 0;  // kill, tgkill, sigqueue, …: not by what the thread did
  signal.from_outside = by_kill && info.si_pid != ::getpid() ? 1 : 0;
  signal.at = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  signal.address = by_kill ? 0 : reinterpret_cast<uint64_t>(info.si_addr);
  signal.pc = instruction(context);
  const crash::Slot* slot = Inside::slot_of_this_thread();
  signal.slot = slot == nullptr ? -1 : static_cast<int32_t>(slot - file.slots.data());
  signal.noted.store(crash::kNoted, std::memory_order_release);
  walk(add_frame, &signal);
}

// As if we had never been: what comes next finds who was here before. A fault of the thread itself comes again by itself when it goes on,
// with all that a handler of a sanitizer wants to know.
void hand_on(int number, const siginfo_t& info) {
  size_t i = 0;
  while (i + 1 < std::size(kSignals) && kSignals[i] != number) ++i;
  ::sigaction(number, &before_us[i], nullptr);
  bool comes_again = info.si_code > 0 && before_us[i].sa_handler != SIG_DFL && before_us[i].sa_handler != SIG_IGN;
  if (!comes_again) ::syscall(SYS_tgkill, ::getpid(), ::gettid(), number);  // it is blocked until the handler has returned
}

void on_crash(int number, siginfo_t* info, void* context) {
  if (::getpid() != owner) return hand_on(number, *info);  // a child of a plugin, which shares the mapping
  int32_t self = ::gettid(), nobody = 0;
  if (noting.compare_exchange_strong(nobody, self)) {
    CrashRecord* record = CrashRecord::current();
    if (record != nullptr) note(record->signal(), number, *info, context, record->file());
  } else if (nobody != self) {
    while (true) ::pause();  // another thread was first, and is about to end us all
  }
  hand_on(number, *info);
}

}  // namespace

void catch_crashes() {
  owner = ::getpid();
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction ours {};
    ours.sa_sigaction = on_crash;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    ::sigaction(kSignals[i], &ours, &before_us[i]);
  }
}

}  // namespace postern::plugin
