// What the record tells of lives that ended without a signal that could be caught, and of files that are none.
#include "core/plugin/crash_record.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>
#include <vector>

#include "tests/unit/plugin/crash_support.h"

namespace postern::plugin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::site;

class CrashRecordTest : public testing::CrashTest {
 protected:
  std::string content() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& file, const std::string& bytes) const { std::ofstream(file, std::ios::binary) << bytes; }
  Status read_status(const std::string& bytes) const {
    write(died(), bytes);
    return read_crash_report(died()).status();
  }
};

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();
}

// Threads that are inside plugins with these deliveries, and stay there.
void work_on(std::vector<int64_t> deliveries) {
  std::atomic<size_t> inside{0};
  std::vector<std::thread> threads;
  for (int64_t delivery : deliveries) {
    threads.emplace_back([&inside, delivery] {
      Inside call(site(1, EntryPoint::kHandler, delivery));
      inside.fetch_add(1);
      while (true) ::pause();
    });
  }
  while (inside.load() < deliveries.size()) std::this_thread::yield();
  die();
}

TEST_F(CrashRecordTest, AFirstStartHasNothingToTell) {
  CrashReport report = next_start();
  EXPECT_THAT(report.told, IsEmpty());
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.suspects, IsEmpty());
  struct stat found {};
  ASSERT_EQ(::stat(path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(CrashRecordTest, WhoEndsInOrderLeavesNobodyRunning) {
  live([](CrashRecord& record) {
    Inside call(site(1, EntryPoint::kHandler, 7));  // it does not come back, and is left behind
    record.end();
    die();
  });
  EXPECT_THAT(next_start().suspects, IsEmpty());
}

TEST_F(CrashRecordTest, WhatWasRunningAtAnEndWithoutAWordIsSuspected) {
  live([](CrashRecord&) { work_on({7, 9, 8}); });
  CrashReport report = next_start();
  EXPECT_THAT(report.suspects, ElementsAre(7, 8, 9));
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.told, HasSubstr("without a word"));
}

TEST_F(CrashRecordTest, ACallThatCameBackIsNotRunning) {
  live([](CrashRecord&) {
    { Inside call(site(1, EntryPoint::kHandler, 7)); }
    std::thread([] { Inside call(site(1, EntryPoint::kHandler, 8)); }).join();
    die();
  });
  CrashReport report = next_start();
  EXPECT_THAT(report.suspects, IsEmpty());
}

TEST_F(CrashRecordTest, AServiceWithinAHandlerRunsOnBehalfOfItsDelivery) {
  live([](CrashRecord& record) {
    record.try_alone(7);
    Inside handler(site(1, EntryPoint::kHandler, 7));
    Inside service(site(2, EntryPoint::kService));
    die();
  });
  CrashReport report = next_start();
  ASSERT_TRUE(report.crash);
  EXPECT_EQ(report.crash->plugin, "mail");
  EXPECT_EQ(report.crash->build, "b2");
  EXPECT_EQ(report.crash->entry_point, "service");
  EXPECT_EQ(report.crash->delivery, 7);
}

TEST_F(CrashRecordTest, CallsDeeperThanAreNamedAreCounted) {
  live([](CrashRecord&) {
    std::vector<std::unique_ptr<Inside>> calls;
    for (int64_t i = 1; i <= 3 * static_cast<int64_t>(crash::kMaxDepth); ++i) {
      calls.push_back(std::make_unique<Inside>(site(1, EntryPoint::kHandler, i)));
    }
    while (calls.size() > 1) calls.pop_back();
    die();
  });
  EXPECT_THAT(next_start().suspects, ElementsAre(1));
}

TEST_F(CrashRecordTest, MoreThreadsThanSlotsWork) {
  live([](CrashRecord& record) {
    for (auto& slot : const_cast<crash::File&>(record.file()).slots) slot.taken.store(1);
    std::thread([] { Inside call(site(1, EntryPoint::kHandler, 7)); }).join();
    const_cast<crash::File&>(record.file()).slots[crash::kMaxSlots - 1].taken.store(0);
    std::thread([] { Inside call(site(1, EntryPoint::kHandler, 8)); }).join();  // and gives it back
    work_on({9});
  });
  EXPECT_THAT(next_start().suspects, ElementsAre(9));
}

TEST_F(CrashRecordTest, WhoDiesAloneIsToldByIt) {
  live([](CrashRecord& record) {
    record.suspect({7, 8, 9});
    record.try_alone(7);
    record.acquit(7);
    record.try_alone(8);
    work_on({8});
  });
  CrashReport report = next_start();
  ASSERT_TRUE(report.crash);
  EXPECT_EQ(report.crash->plugin, "acme");
  EXPECT_EQ(report.crash->delivery, 8);
  EXPECT_THAT(report.crash->explain(), HasSubstr("no other delivery at work"));
  EXPECT_THAT(report.suspects, ElementsAre(9));  // who has not had a turn
}

TEST_F(CrashRecordTest, OneThatRanByItselfByChanceIsSuspectedOnly) {
  live([](CrashRecord&) { work_on({7}); });
  CrashReport report = next_start();
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.suspects, ElementsAre(7));
}

TEST_F(CrashRecordTest, WhoWasToBeAloneAndWasNotIsSuspectedAgain) {
  live([](CrashRecord& record) {
    record.suspect({7});
    record.try_alone(7);
    work_on({7, 12});
  });
  CrashReport report = next_start();
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.suspects, ElementsAre(7, 12));
}

TEST_F(CrashRecordTest, AMachineThatWasStartedAnewBlamesNobody) {
  live([](CrashRecord& record) {
    record.try_alone(7);
    const_cast<crash::File&>(record.file()).header.boot[0] ^= 1;
    work_on({7});
  });
  CrashReport report = next_start();
  EXPECT_FALSE(report.crash);
  EXPECT_THAT(report.suspects, ElementsAre(7));
  EXPECT_THAT(report.told, HasSubstr("machine"));
}

TEST_F(CrashRecordTest, AnEndThatNobodyHasCountedYetIsKept) {
  live([](CrashRecord&) { work_on({7}); });
  live([](CrashRecord&) { work_on({8}); });  // a start that did not get as far as to count it
  EXPECT_THAT(next_start().suspects, ElementsAre(7));
}

TEST_F(CrashRecordTest, BelongsToOneGateway) {
  auto first = CrashRecord::open(path());
  ASSERT_TRUE(first) << first.status().message();
  EXPECT_EQ(CrashRecord::open(path()).status().code(), Code::kUnavailable);
}

TEST_F(CrashRecordTest, IsNotWrittenThroughALink) {
  write(folder_ + "/precious", "precious");
  std::filesystem::create_symlink(folder_ + "/precious", path());
  EXPECT_FALSE(CrashRecord::open(path()));
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/precious"), 8u);
}

TEST_F(CrashRecordTest, WithoutARecordCallsGoOn) {
  EXPECT_EQ(CrashRecord::current(), nullptr);
  Inside call(site(1, EntryPoint::kHandler, 7));
  EXPECT_EQ(Inside::slot_of_this_thread(), nullptr);
}

TEST_F(CrashRecordTest, AThreadOfAnEarlierRecordHasASlotInTheNextOne) {
  for (int i = 0; i < 2; ++i) {
    auto record = CrashRecord::open(path());
    ASSERT_TRUE(record) << record.status().message();
    ASSERT_EQ((*record)->add_plugin("acme", "b1", "acme.so", nullptr), 1);
    Inside call(site(1, EntryPoint::kHandler, 7));
    EXPECT_EQ(Inside::slot_of_this_thread(), &(*record)->file().slots.front());
    (*record)->end();
  }
}

TEST_F(CrashRecordTest, TheSameBuildHasOneNumberAndThereAreOnlySoMany) {
  auto record = CrashRecord::open(path());
  ASSERT_TRUE(record) << record.status().message();
  EXPECT_EQ((*record)->add_plugin("acme", "b1", "acme.so", nullptr), 1);
  EXPECT_EQ((*record)->add_plugin("acme", "b2", "acme.so", nullptr), 2);
  EXPECT_EQ((*record)->add_plugin("acme", "b1", "acme.so", nullptr), 1);
  for (size_t i = 3; i < crash::kMaxPlugins; ++i) EXPECT_EQ((*record)->add_plugin("acme", "b" + std::to_string(i), "acme.so", nullptr), i);
  EXPECT_EQ((*record)->add_plugin("acme", "one more", "acme.so", nullptr), 0);
  (*record)->end();
}

TEST_F(CrashRecordTest, WhatIsNoRecordIsSaidSoAndReplaced) {
  for (const std::string& bytes : {std::string("x"), std::string(sizeof(crash::File), 'x'), std::string(10 * sizeof(crash::File), 'x')}) {
    write(path(), bytes);
    EXPECT_THAT(next_start().told, IsEmpty());
    EXPECT_EQ(read_status(bytes).code(), Code::kCorrupt);
    std::filesystem::remove(died());
  }
  EXPECT_TRUE(read_status("").is_ok());
  EXPECT_TRUE(read_status(std::string(sizeof(crash::File), '\0')).is_ok());  // one that nobody has begun
}

// Cut short, or with any of its bytes damaged: it tells something or nothing, and no more than it could.
TEST_F(CrashRecordTest, DamageIsNotBelieved) {
  live([](CrashRecord& record) {
    record.suspect({70, 71});
    record.signal().noted.store(crash::kNoted);
    record.signal().number = SIGSEGV;
    record.signal().slot = 0;
    record.signal().frames.store(2);
    work_on({7, 8});
  });
  const std::string whole = content();
  ASSERT_EQ(whole.size(), sizeof(crash::File));
  std::mt19937 random(11);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(read_status(whole.substr(0, 1 + random() % (whole.size() - 1))).code(), Code::kCorrupt);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    size_t part = i % 3 == 0 ? sizeof(crash::Header) + sizeof(crash::Signal) : damaged.size();
    for (int j = 0; j < 200; ++j) damaged[sizeof(uint64_t) * 2 + random() % (part - sizeof(uint64_t) * 2)] = static_cast<char>(random());
    write(died(), damaged);
    auto report = read_crash_report(died());
    if (!report) {
      EXPECT_EQ(report.status().code(), Code::kCorrupt);
    } else if (*report && (*report)->crash) {
      EXPECT_GE((*report)->crash->delivery, 0);
    }
  }
}

}  // namespace
}  // namespace postern::plugin
