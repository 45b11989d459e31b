// SIGKILL under load, again and again: what was acknowledged is in the store afterwards, once. The load repeats
// whatever was not answered, as providers do: an event that was committed but not acknowledged must be recognised by
// the next life of the gateway.
//
// POSTERN_SIGKILL_CYCLES sets the number of kills (3; by hand 20).
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "tests/support/gateway.h"

namespace postern::testing {
namespace {

int cycles() {
  const char* const text = std::getenv("POSTERN_SIGKILL_CYCLES");
  return text == nullptr ? 3 : std::max(1, std::atoi(text));
}

size_t size_of(const std::string& file) {
  std::ifstream stream(file, std::ios::ate | std::ios::binary);
  return stream ? static_cast<size_t>(stream.tellg()) : 0;
}

std::set<std::string> lines_of(const std::string& file) {
  std::set<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);)
    EXPECT_TRUE(lines.insert(line).second) << "acknowledged as new twice: " << line;
  return lines;
}

class SigkillTest : public ::testing::Test {
 protected:
  Process start_load() {
    return Process({POSTERN_LOAD,
                    {"--to", "127.0.0.1:" + std::to_string(gateway_.port()), "--connections", "64", "--duration",
                     "3600", "--retry", "--duplicates", "0.05", "--conversations", "500", "--journal", journal_,
                     "--unacked", "--json", "--give-up", "60"},
                    {{"POSTERN_LOAD_SECRET", gateway_.standard_secret()}},
                    "",
                    ""});
  }

  // Kills after a moment of load that nobody can foresee, but not before this life has acknowledged something.
  void kill_under_load(Process& load) {
    const size_t before = size_of(journal_);
    ASSERT_TRUE(eventually(milliseconds(30000), [&] { return size_of(journal_) > before || !load.running(); }));
    ASSERT_TRUE(load.running()) << load.err();
    std::this_thread::sleep_for(milliseconds(100 + random_() % 401));
    gateway_.kill();
  }

  Gateway gateway_;
  const std::string journal_ = gateway_.folder() + "/acked";
  std::random_device random_;
};

TEST_F(SigkillTest, WhatWasAcknowledgedIsStoredOnce) {
  Process load = start_load();
  milliseconds slowest{0};
  for (int i = 0; i < cycles(); ++i) {
    ASSERT_NO_FATAL_FAILURE(kill_under_load(load));
    slowest = std::max(slowest, gateway_.start(milliseconds(60000)));
  }
  const size_t before = size_of(journal_);
  ASSERT_TRUE(eventually(milliseconds(30000), [&] { return size_of(journal_) > before; }))
      << "the last life takes events as well";
  load.send_signal(SIGTERM);
  ASSERT_TRUE(load.wait(milliseconds(30000)));
  const auto report = nlohmann::json::parse(load.out(), nullptr, false);
  ASSERT_TRUE(report.is_object()) << load.out() << load.err();
  EXPECT_EQ(gateway_.stop(milliseconds(60000)).code, 0) << gateway_.log().substr(0, 4000);

  const auto acked = lines_of(journal_);
  std::set<std::string> stored;
  for (const auto& row : gateway_.store().rows("SELECT external_id, count(*) FROM event GROUP BY external_id")) {
    EXPECT_EQ(row[1], "1") << row[0] << " is stored more than once";
    stored.insert(row[0]);
  }
  size_t lost = 0;
  for (const auto& id : acked) lost += stored.contains(id) ? 0 : 1;
  EXPECT_EQ(lost, 0u) << "acknowledged and lost, of " << acked.size();
  for (const auto& id : lines_of(journal_ + ".unacked")) stored.erase(id);
  EXPECT_TRUE(stored == acked) << "something else is stored than was sent";
  EXPECT_EQ(gateway_.store().rows("PRAGMA integrity_check")[0][0], "ok");
  EXPECT_EQ(gateway_.store().number(
                "SELECT count(*) FROM event e WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event = e.seq)"),
            0)
      << "events without their delivery";
  // What is said to be a duplicate was repeated on purpose, or sent again because its answer was lost in a crash.
  const uint64_t repeated = report.value("repeats", uint64_t{0}) + report.value("retries", uint64_t{0});
  EXPECT_LE(report.value("duplicates", uint64_t{0}), repeated);
  std::printf("%d kills, %zu events acknowledged, %zu stored, ready again after at most %lld ms\n", cycles(),
              acked.size(), stored.size(), static_cast<long long>(slowest.count()));
  if (POSTERN_CHECK_BARS) {
    EXPECT_LE(slowest.count(), 1000) << "ready again within a second";
  }
}

}  // namespace
}  // namespace postern::testing
