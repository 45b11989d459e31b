// Signals that end a gateway, each in a process of its own.
#include "core/plugin/crash_signal.h"

#include <gmock/gmock.h>
#include <sys/mman.h>

#include <csignal>
#include <thread>

#include "tests/support/sanitizer.h"
#include "tests/unit/plugin/crash_support.h"

namespace postern::plugin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using testing::site;

#if POSTERN_ASAN || POSTERN_TSAN
constexpr bool kSanitized = true;  // its report ends the process in its own way
#else
constexpr bool kSanitized = false;
#endif

volatile int* volatile nowhere = nullptr;
volatile int zero = 0;
volatile int64_t deepest = INT64_MAX;

__attribute__((noinline, no_sanitize("undefined"))) void touch_nothing() { *nowhere = 1; }
[[gnu::noinline]] int64_t overflow(int64_t depth) {
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  int64_t deeper = depth < deepest ? overflow(depth + 1) : 0;
  return deeper + room[0];
}
[[gnu::noinline]] void trap() { __builtin_trap(); }

class CrashSignalTest : public testing::CrashTest {
 protected:
  static void expect_end(int status, int signal) {
    EXPECT_NE(status, 0);
    if (kSanitized) return;
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), signal);
  }
  // A thread that is in a handler with the delivery 7, and does this.
  CrashReport crash_by(const std::function<void()>& what, int signal) {
    int status = live([&](CrashRecord&) {
      catch_crashes();
      std::thread([&] {
        Inside call(site(1, EntryPoint::kHandler, 7));
        what();
      }).join();
    });
    expect_end(status, signal);
    return next_start();
  }
  void expect_crash(const CrashReport& report, const std::string& signal) {
    ASSERT_TRUE(report.crash) << report.told;
    EXPECT_EQ(report.crash->plugin, "acme");
    EXPECT_EQ(report.crash->build, "b1");
    EXPECT_EQ(report.crash->entry_point, "handler");
    EXPECT_EQ(report.crash->delivery, 7);
    EXPECT_EQ(report.crash->signal, signal);
    EXPECT_THAT(report.suspects, IsEmpty());
  }
};

TEST_F(CrashSignalTest, ABadAddress) {
  CrashReport report = crash_by(touch_nothing, SIGSEGV);
  expect_crash(report, "SIGSEGV");
  EXPECT_THAT(report.crash->place, StartsWith("acme.so+0x"));
  EXPECT_THAT(report.crash->backtrace, StartsWith("#0 acme.so+0x"));
  EXPECT_THAT(report.crash->backtrace, HasSubstr("\n#1 "));
  EXPECT_THAT(report.crash->explain(), StartsWith("the gateway crashed in it: SIGSEGV in acme.so+0x"));
}

TEST_F(CrashSignalTest, AStackThatOverflows) {
  expect_crash(crash_by([] { zero = static_cast<int>(overflow(0)); }, SIGSEGV), "SIGSEGV");
}

TEST_F(CrashSignalTest, AnAbortIsWhereItsCallerIs) {
  CrashReport report = crash_by([] { std::abort(); }, SIGABRT);
  expect_crash(report, "SIGABRT");
  EXPECT_THAT(report.crash->place, StartsWith("acme.so+0x"));  // not in the C library
}

TEST_F(CrashSignalTest, AnInstructionThatIsNone) {
#if defined(__x86_64__)
  expect_crash(crash_by(trap, SIGILL), "SIGILL");
#else
  CrashReport report = crash_by(trap, SIGTRAP);
#endif
}

TEST_F(CrashSignalTest, AFileThatIsShorterThanItsMapping) {
  expect_crash(crash_by(
                   [] {
                     int fd = ::memfd_create("short", 0);
                     auto* page = static_cast<volatile char*>(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
                     zero = page[0];
                   },
                   SIGBUS),
               "SIGBUS");
}

TEST_F(CrashSignalTest, OthersThatWereRunningAreNotSuspected) {
  CrashReport report;
  int status = live([&](CrashRecord&) {
    catch_crashes();
    std::atomic<bool> inside{false};
    std::thread other([&] {
      Inside call(site(2, EntryPoint::kHandler, 8));
      inside.store(true);
      while (true) ::pause();
    });
    while (!inside.load()) std::this_thread::yield();
    Inside call(site(1, EntryPoint::kHandler, 7));
    touch_nothing();
  });
  expect_end(status, SIGSEGV);
  expect_crash(next_start(), "SIGSEGV");
}

TEST_F(CrashSignalTest, SeveralThreadsAtOnceAreOneCrash) {
#if POSTERN_ASAN || POSTERN_TSAN
  GTEST_SKIP() << "a thread that crashes may hold a lock of the sanitizer's, for which the others wait";
#endif
  int status = live([&](CrashRecord&) {
    catch_crashes();
    for (int64_t i = 1; i <= 8; ++i) {
      std::thread([i] {
        Inside call(site(1, EntryPoint::kHandler, i));
        touch_nothing();
      }).detach();
    }
    while (true) ::pause();
  });
  expect_end(status, SIGSEGV);
  CrashReport report = next_start();
  ASSERT_TRUE(report.crash);
  EXPECT_GE(report.crash->delivery, 1);
}

TEST_F(CrashSignalTest, AThreadOfThePluginsOwnIsKnownByItsCode) {
  int status = live([&](CrashRecord&) {
    catch_crashes();
    std::thread(touch_nothing).join();
  });
  expect_end(status, SIGSEGV);
  CrashReport report = next_start();
  ASSERT_TRUE(report.crash) << report.told;
  EXPECT_EQ(report.crash->plugin, "acme");
  EXPECT_EQ(report.crash->entry_point, "thread");
  EXPECT_EQ(report.crash->delivery, 0);
}

// Without plugins' code around it: nobody is blamed, and what was running is looked at again.
TEST_F(CrashSignalTest, OutsideOfPluginsNobodyIsBlamed) {
  pid_t child = ::fork();
  if (child == 0) {
    auto record = CrashRecord::open(path());
    if (!record || (*record)->add_plugin("acme", "b1", "acme.so", nullptr) != 1) ::_exit(99);
    catch_crashes();
    std::atomic<bool> inside{false};
    std::thread other([&] {
      Inside call(site(1, EntryPoint::kHandler, 8));
      inside.store(true);
      while (true) ::pause();
    });
    while (!inside.load()) std::this_thread::yield();
    touch_nothing();
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  expect_end(status, SIGSEGV);
  CrashReport report = next_start();
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.suspects, ElementsAre(8));
  EXPECT_THAT(report.told, HasSubstr("outside of plugins: SIGSEGV in postern+0x"));
}

// An operator who sends it, or a watchdog: the thread that gets it has done nothing.
TEST_F(CrashSignalTest, FromAnotherProcessItBlamesNobody) {
  pid_t tester = ::getpid();
  int status = live([&](CrashRecord&) {
    catch_crashes();
    Inside call(site(1, EntryPoint::kHandler, 7));
    pid_t victim = ::getpid();
    if (::fork() == 0) {
      ::kill(victim, SIGABRT);
      ::_exit(0);
    }
    while (::getppid() == tester) ::pause();
  });
  expect_end(status, SIGABRT);
  CrashReport report = next_start();
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.suspects, ElementsAre(7));
}

// What a plugin has forked shares the record, but is not the gateway.
TEST_F(CrashSignalTest, AChildThatCrashesIsNoCrash) {
  int ended = live([&](CrashRecord& record) {
    catch_crashes();
    pid_t child = ::fork();
    if (child == 0) {
      Inside call(site(1, EntryPoint::kHandler, 7));
      touch_nothing();
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    record.end();
    ::_exit(status != 0 ? 0 : 1);
  });
  EXPECT_EQ(ended, 0);
  CrashReport report = next_start();
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.told, IsEmpty());
}

// It comes after the end in order: nothing is running any more, but the crash counts.
TEST_F(CrashSignalTest, ACrashInDestroyCounts) {
  live([&](CrashRecord& record) {
    catch_crashes();
    record.end();
    Inside call(site(1, EntryPoint::kDestroy));
    touch_nothing();
  });
  CrashReport report = next_start();
  ASSERT_TRUE(report.crash) << report.told;
  EXPECT_EQ(report.crash->entry_point, "destroy");
}

}  // namespace
}  // namespace postern::plugin
