#include "core/observe/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <nlohmann/json.hpp>

namespace postern::observe {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOften(1);
constexpr milliseconds kOnce(3'600'000);

HealthReport healthy(const std::string& message = "fine", const std::string& details = "{}") {
  return {Health::kHealthy, message, details};
}

// A check that runs often, and a moment when its first result is to be seen: when it is called again.
class Seen {
 public:
  std::function<HealthReport()> check(HealthReport report) {
    return [this, report] {
      if (++calls_ == 2) twice_.set_value();
      return report;
    };
  }
  void wait() { ASSERT_EQ(twice_.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready); }

 private:
  std::atomic<int> calls_{0};
  std::promise<void> twice_;
};

nlohmann::json answer(const HealthBoard& board, std::string_view name = "", bool details = true) {
  auto text = board.answer(name, details);
  return text ? nlohmann::json::parse(*text) : nlohmann::json();
}

TEST(HealthBoard, AnswersBeforeAnythingWasChecked) {
  HealthBoard board;
  board.add("database", kOnce, [] { return healthy(); });
  auto json = answer(board);
  EXPECT_EQ(json["integrations"]["database"]["status"], "configured");
  EXPECT_EQ(json["integrations"]["database"]["message"], "not checked yet");
  EXPECT_EQ(json["overall_status"], "healthy");
  EXPECT_THAT(json["timestamp"].get<std::string>(), ::testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
}

TEST(HealthBoard, AnswersWithoutAnyCheck) {
  HealthBoard board;
  auto json = answer(board);
  EXPECT_EQ(json["overall_status"], "healthy");
  EXPECT_EQ(json["integrations"], nlohmann::json::object());
}

TEST(HealthBoard, ChecksInTheBackground) {
  Seen seen;
  HealthBoard board;
  board.add("database", kOften, seen.check(healthy("all \"good\"\n", R"({"queued":3})")));
  board.start();
  seen.wait();
  auto entry = answer(board)["integrations"]["database"];
  EXPECT_EQ(entry["status"], "healthy");
  EXPECT_EQ(entry["message"], "all \"good\"\n");
  EXPECT_EQ(entry["details"]["queued"], 3);
  EXPECT_TRUE(board.stop());
}

TEST(HealthBoard, IsAsBadAsItsWorst) {
  struct {
    std::vector<Health> found;
    const char* overall;
  } cases[] = {
      {{Health::kHealthy, Health::kHealthy}, "healthy"},
      {{Health::kHealthy, Health::kConfigured}, "healthy"},
      {{Health::kDegraded, Health::kConfigured}, "degraded"},
      {{Health::kUnhealthy, Health::kDegraded}, "unhealthy"},
  };
  for (const auto& one : cases) {
    std::vector<std::unique_ptr<Seen>> seen;
    HealthBoard board;
    for (Health health : one.found) {
      seen.push_back(std::make_unique<Seen>());
      board.add("c" + std::to_string(seen.size()), kOften, seen.back()->check({health, "m", "{}"}));
    }
    board.start();
    for (auto& each : seen) each->wait();
    EXPECT_EQ(answer(board)["overall_status"], one.overall);
    EXPECT_TRUE(board.stop());
  }
}

TEST(HealthBoard, TakesHyphensForUnderscores) {
  HealthBoard board;
  board.add("webhook_url", kOnce, [] { return healthy(); });
  board.add("database", kOnce, [] { return healthy(); });
  for (const char* name : {"webhook-url", "webhook_url"}) {
    auto json = answer(board, name);
    EXPECT_EQ(json["integrations"].size(), 1u);
    EXPECT_TRUE(json["integrations"].contains("webhook_url")) << "keys have underscores";
  }
  for (const char* name : {"webhook", "webhook-url-", "WEBHOOK-URL", "database/", "*", " "}) EXPECT_FALSE(board.answer(name, true)) << name;
}

// Whoever added it: what /api/health/ lists, /api/health/NAME must find.
TEST(HealthBoard, FindsWhateverItLists) {
  HealthBoard board;
  board.add("voice-agent", kOnce, [] { return healthy(); });
  const nlohmann::json listed = answer(board)["integrations"];
  ASSERT_EQ(listed.size(), 1u);
  for (const auto& [name, entry] : listed.items()) EXPECT_TRUE(board.answer(name, true)) << name;
  EXPECT_TRUE(board.answer("voice-agent", true));
}

TEST(HealthBoard, ShowsDetailsOnlyToThoseWhoMaySeeThem) {
  Seen seen;
  HealthBoard board;
  board.add("database", kOften, seen.check(healthy("fine", R"({"path":"/var/lib"})")));
  board.start();
  seen.wait();
  EXPECT_EQ(answer(board, "", true)["integrations"]["database"]["details"]["path"], "/var/lib");
  EXPECT_EQ(answer(board, "", false)["integrations"]["database"]["details"], nlohmann::json::object());
  EXPECT_EQ(board.answer("database", false)->find("/var/lib"), std::string::npos);
  EXPECT_TRUE(board.stop());
}

TEST(HealthBoard, TakesAnEmptyTextForNoDetails) {
  Seen seen;
  HealthBoard board;
  board.add("database", kOften, seen.check(healthy("fine", "")));
  board.start();
  seen.wait();
  EXPECT_EQ(answer(board)["integrations"]["database"]["details"], nlohmann::json::object());
  EXPECT_TRUE(board.stop());
}

TEST(HealthBoard, IsNotHeldByACheckThatHangs) {
  std::latch hang(1), left(1);
  Seen seen;
  {
    HealthBoard board;
    std::promise<void> inside;
    board.add("hangs", kOnce, [&] {
      inside.set_value();
      hang.wait();
      left.count_down();
      return healthy();
    });
    board.add("database", kOften, seen.check(healthy()));
    board.start();
    inside.get_future().wait();
    seen.wait();
    auto json = answer(board);
    EXPECT_EQ(json["integrations"]["database"]["status"], "healthy");
    EXPECT_EQ(json["integrations"]["hangs"]["message"], "not checked yet");
    EXPECT_FALSE(board.stop()) << "it is still inside";
    hang.count_down();  // what it uses is this test's
    left.wait();
    EXPECT_TRUE(board.stop());
  }
}

TEST(HealthBoard, StopsAtOnceBetweenChecks) {
  Seen seen;
  HealthBoard board;
  board.add("a", kOften, seen.check(healthy()));
  for (int i = 0; i < 20; ++i) board.add("b" + std::to_string(i), kOnce, [] { return healthy(); });
  board.start();
  seen.wait();
  auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(board.stop());
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1500));
}

TEST(HealthBoard, AnswersWhileChecksComeAndGo) {
  HealthBoard board;
  for (int i = 0; i < 4; ++i)
    board.add("c" + std::to_string(i), milliseconds(0), [i] { return healthy(std::string(100, static_cast<char>('a' + i))); });
  board.start();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(answer(board)["integrations"].size(), 4u);
  EXPECT_TRUE(board.stop());
}

TEST(HealthBoard, ChecksOfPluginsAreReplaced) {
  Seen own, first, second, held;
  HealthBoard board;
  board.add("database", kOften, own.check(healthy("own")));
  board.set({{"mail", kOften, first.check(healthy("of the first"))}, {"gone", kOnce, [] { return healthy(); }}});
  board.start();
  own.wait();
  first.wait();
  std::promise<void> may_go_on;
  auto wait = may_go_on.get_future().share();
  board.set({{"mail", kOften, [wait, check = held.check(healthy("of the second"))] {
                wait.wait();
                return check();
              }},
             {"call-log", kOften, second.check(healthy("new"))}});
  second.wait();
  auto json = answer(board)["integrations"];
  EXPECT_EQ(json.size(), 3u);
  EXPECT_EQ(json["database"]["message"], "own");
  EXPECT_EQ(json["mail"]["message"], "of the first") << "until it has one of its own";
  EXPECT_EQ(json["call_log"]["message"], "new");
  may_go_on.set_value();
  held.wait();
  EXPECT_EQ(answer(board)["integrations"]["mail"]["message"], "of the second");
  EXPECT_TRUE(board.stop());
}

// A plugin is in it.
TEST(HealthBoard, ACheckThatWasReplacedIsLetGo) {
  std::promise<void> let_go;
  HealthBoard board;
  std::shared_ptr<int> plugin(new int(7), [&](int* gone) {
    delete gone;
    let_go.set_value();
  });
  board.set({{"mail", kOnce, [plugin = std::move(plugin)] { return healthy(std::to_string(*plugin)); }}});
  board.start();
  board.set({});
  EXPECT_EQ(let_go.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_TRUE(board.stop());
}

}  // namespace
}  // namespace postern::observe
