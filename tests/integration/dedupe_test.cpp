// One event however often it comes: at the same time on many connections, and across a SIGKILL.
//
// POSTERN_DEDUPE_COPIES sets how often each of the 1,000 ids is sent (100).
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/probe_gateway.h"

namespace postern::testing {
namespace {

constexpr int kIds = 1000;
constexpr milliseconds kPatience{120000};

int copies() {
  const char* const text = std::getenv("POSTERN_DEDUPE_COPIES");
  return text == nullptr ? 100 : std::max(2, std::atoi(text));
}

// Which event each id became, as its senders were told. Thread-safety: any thread.
class Answers {
 public:
  void note(const std::string& id, const Response& response) {
    const auto body = nlohmann::json::parse(response.body);
    const std::lock_guard lock(mutex_);
    events_[id].insert(body.at("event_id").get<std::string>());
    if (body.at("status") == "queued") ++queued_[id];
    ++count_;
  }
  int count() const { return count_; }
  std::map<std::string, std::set<std::string>> events() const { return events_; }
  int most_queued() const {
    int most = 0;
    for (const auto& [id, times] : queued_) most = std::max(most, times);
    return most;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::set<std::string>> events_;
  std::map<std::string, int> queued_;
  std::atomic<int> count_{0};
};

// A sender: every id once, in an order of its own; what was not answered it sends again.
void send_all(uint16_t port, unsigned seed, Answers& answers) {
  std::vector<int> ids(kIds);
  std::iota(ids.begin(), ids.end(), 0);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(seed));
  const auto until = Clock::now() + kPatience;
  while (!ids.empty() && Clock::now() < until) {
    try {
      WireClient client = WireClient::tcp("127.0.0.1", port);
      while (!ids.empty()) {
        const std::string id = "id-" + std::to_string(ids.back());
        client.send(request_text("POST", "/probe", {{"Content-Type", "application/json"}},
                                 R"({"id":")" + id + R"(","type":"test","do":"done","key":")" + id + "\"}"));
        const auto response = client.read_response();
        if (!response) break;
        if (response->status != 200) continue;
        answers.note(id, *response);
        ids.pop_back();
      }
    } catch (const std::runtime_error&) {
      std::this_thread::sleep_for(milliseconds(20));  // nobody listens between two lives of the gateway
    }
  }
  EXPECT_TRUE(ids.empty());
}

TEST(DedupeTest, ManyCopiesAtOnceAreOneEventAlsoAcrossAKill) {
  Gateway gateway({.plugins = probe_entry()});
  Answers answers;
  std::vector<std::thread> senders;
  for (int i = 0; i < copies(); ++i) senders.emplace_back([&, i] { send_all(gateway.port(), static_cast<unsigned>(i), answers); });
  for (int third = 1; third <= 2; ++third) {
    EXPECT_TRUE(eventually(kPatience, [&] { return answers.count() >= third * kIds * copies() / 3; }));
    gateway.kill();
    gateway.start();
  }
  for (auto& sender : senders) sender.join();

  EXPECT_EQ(answers.count(), kIds * copies());
  EXPECT_EQ(gateway.store().events(), kIds);
  EXPECT_EQ(answers.events().size(), static_cast<size_t>(kIds));
  for (const auto& [id, events] : answers.events()) EXPECT_EQ(events.size(), 1u) << id << " was told as several events";
  EXPECT_LE(answers.most_queued(), 1) << "a repetition was told as new";
  EXPECT_TRUE(eventually(kPatience, [&] { return gateway.store().deliveries("done") == kIds; })) << gateway.log();
  const auto effects = gateway.store().rows("SELECT key, value FROM record WHERE collection = 'order'");
  EXPECT_EQ(effects.size(), static_cast<size_t>(kIds));
  for (const auto& row : effects) EXPECT_EQ(row[1], "[\"" + row[0] + "\"]") << "handled twice";
}

}  // namespace
}  // namespace postern::testing
