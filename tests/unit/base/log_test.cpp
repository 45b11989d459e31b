// What reaches stderr: each line is whole, valid and marked, whatever was written.
#include "core/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "core/base/clock.h"

namespace postern::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

class Log : public ::testing::Test {
 protected:
  void TearDown() override { start(Style::kTerminal, Level::kWarn); }

  template <typename Write>
  static std::string captured(Style style, Level level, Write write_lines) {
    CaptureStderr();
    start(style, level);
    write_lines();
    return GetCapturedStderr();
  }
  template <typename Write>
  static std::vector<nlohmann::json> json_lines(Level level, Write write_lines) {
    std::istringstream text(captured(Style::kJson, level, write_lines));
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(text, line);) {
      lines.push_back(nlohmann::json::parse(line, nullptr, false));
      EXPECT_TRUE(lines.back().is_object()) << line;
    }
    return lines;
  }
};

TEST_F(Log, WritesOneObjectALine) {
  auto lines = json_lines(Level::kInfo, [] {
    info("hello", {{"path", "/a"}, {"status", 200}, {"bytes", uint64_t{UINT64_MAX}}, {"left", -1}});
  });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["message"], "hello");
  EXPECT_EQ(lines[0]["level"], "info");
  EXPECT_EQ(lines[0]["path"], "/a");
  EXPECT_EQ(lines[0]["status"], 200);
  EXPECT_EQ(lines[0]["bytes"], UINT64_MAX);
  EXPECT_EQ(lines[0]["left"], -1);
  EXPECT_EQ(lines[0]["request_id"], "-");
  EXPECT_THAT(lines[0]["time"].get<std::string>(),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
}

// Attack: input that ends the line, or the string, and writes one of its own.
TEST_F(Log, CannotBeForgedByInput) {
  std::mt19937 random(7);
  std::vector<std::string> hostile = {
      "a\n{\"level\":\"error\"}", "\",\"request_id\":\"x", "\x1b[2J\r", std::string("a\0b", 3), "\xff\xfe", "{} {fmt} %s %v"};
  for (int i = 0; i < 200; ++i) {
    std::string& text = hostile.emplace_back(random() % 30, '\0');
    for (char& c : text) c = static_cast<char>(random());
  }
  auto lines = json_lines(Level::kInfo, [&] {
    for (const std::string& text : hostile) {
      Scope scope(text, text);
      info(text, {{"value", text}, {text, "as a key"}});
    }
  });
  ASSERT_EQ(lines.size(), hostile.size());
  for (const nlohmann::json& line : lines) {
    EXPECT_EQ(line["level"], "info");
    EXPECT_TRUE(line.contains("request_id"));
  }
  EXPECT_EQ(lines[0]["value"], hostile[0]);
  EXPECT_EQ(lines[1]["request_id"], hostile[1]);
}

TEST_F(Log, CannotBeForgedOnATerminalEither) {
  std::string text = captured(Style::kTerminal, Level::kInfo, [] { info("a\nb\x1b[2J", {{"value", "c\r\nd\x07"}, {"fmt", "{} %v"}}); });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, HasSubstr("a\\nb\\x1b[2J"));
  EXPECT_THAT(text, HasSubstr("value=c\\x0d\\nd\\x07"));
  EXPECT_THAT(text, HasSubstr("fmt={} %v"));
}

TEST_F(Log, CarriesTheRequestAtHand) {
  auto lines = json_lines(Level::kInfo, [] {
    Scope request("req_1");
    info("a");
    {
      Scope delivery("dlv_2", "p");
      info("b");
      PluginScope other("q");
      info("c");
    }
    info("d");
    std::thread([] { info("e"); }).join();
  });
  ASSERT_EQ(lines.size(), 5u);
  auto mark = [&](size_t i) { return lines[i]["request_id"].get<std::string>() + "/" + lines[i].value("plugin", "none"); };
  EXPECT_THAT((std::vector{mark(0), mark(1), mark(2), mark(3), mark(4)}),
              ElementsAre("req_1/none", "dlv_2/p", "dlv_2/q", "req_1/none", "-/none"));
}

TEST_F(Log, WritesOnlyWhatIsAskedFor) {
  auto write_all = [] {
    debug("debug");
    info("info");
    warn("warn");
    error("error");
  };
  EXPECT_EQ(json_lines(Level::kDebug, write_all).size(), 4u);
  auto lines = json_lines(Level::kWarn, write_all);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["level"], "warn");
  EXPECT_EQ(lines[1]["level"], "error");
  EXPECT_FALSE(enabled(Level::kInfo));
  EXPECT_TRUE(enabled(Level::kError));
}

TEST_F(Log, KeepsLinesOfThreadsApart) {
  auto lines = json_lines(Level::kInfo, [] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        std::string id = "req_" + std::to_string(t);
        Scope scope(id);
        for (int i = 0; i < 200; ++i) info(std::string(300, 'x'), {{"thread", t}});
      });
    }
    for (auto& thread : threads) thread.join();
  });
  ASSERT_EQ(lines.size(), 800u);
  for (const nlohmann::json& line : lines) EXPECT_EQ(line["request_id"], "req_" + std::to_string(line["thread"].get<int>()));
}

// In a process of its own, where nothing was started: commands print their results on stdout, so no line may go there.
TEST_F(Log, GoesToStderrFromTheFirstLine) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto write_early = [] {
    ::testing::internal::CaptureStdout();
    info("quiet");
    warn("loud");
    std::string out = ::testing::internal::GetCapturedStdout();
    if (!out.empty()) std::fputs("on stdout: ", stderr);
    std::fputs(out.c_str(), stderr);
    std::exit(0);
  };
  EXPECT_EXIT(write_early(), ::testing::ExitedWithCode(0), AllOf(HasSubstr("loud"), Not(HasSubstr("on stdout")), Not(HasSubstr("quiet"))));
}

// ---- Throttle

TEST(Throttle, PassesSoManyASecondAndCountsTheOthers) {
  Throttle throttle(3);
  uint64_t passed = 0, calls = 0, told = 0, calls_at_last_pass = 0;
  int64_t start = steady_ms();
  while (steady_ms() < start + 1500) {  // over at least one border of a second
    uint64_t suppressed = 0;
    ++calls;
    if (!throttle.pass(suppressed)) continue;
    ++passed;
    told += suppressed;
    calls_at_last_pass = calls;
  }
  EXPECT_GE(passed, 6u);
  EXPECT_LE(passed, 9u);
  EXPECT_EQ(passed + told, calls_at_last_pass) << "each line passed or was counted";
}

TEST(Throttle, TellsNothingSuppressedAtFirst) {
  Throttle throttle(1);
  uint64_t suppressed = 99;
  ASSERT_TRUE(throttle.pass(suppressed));
  EXPECT_EQ(suppressed, 0u);
}

}  // namespace
}  // namespace postern::log
