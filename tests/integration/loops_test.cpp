// Several event loops before one store.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

constexpr milliseconds kSoon{20000};
constexpr int kEvents = 200;
constexpr int kConnections = 20;

// Each event comes twice, at once, over two connections: the kernel deals those out to the loops.
TEST(LoopsTest, TwoLoopsStoreEachEventOnce) {
  Gateway gateway({.gateway = "  loops: 2\n"});
  std::vector<WireClient> clients;
  for (int i = 0; i < kConnections; ++i) clients.push_back(gateway.connect());
  std::vector<std::string> requests(kConnections);
  std::vector<std::vector<int>> sent(kConnections);  // which events, in order
  for (int event = 0; event < kEvents; ++event) {
    const std::string id = new_event_id();
    const std::string body = message_body(id);
    Headers headers = gateway.sign(id, body);
    headers.emplace_back("Content-Type", "application/json");
    for (const int client : {event % kConnections, (event + 1 + event / kConnections) % kConnections}) {
      requests[static_cast<size_t>(client)] += request_text("POST", kOpenphonePath, headers, body);
      sent[static_cast<size_t>(client)].push_back(event);
    }
  }
  for (size_t i = 0; i < clients.size(); ++i) ASSERT_TRUE(clients[i].send(requests[i]));

  std::map<int, std::multimap<std::string, std::string>> answers;  // event: status to event_id
  for (size_t i = 0; i < clients.size(); ++i) {
    for (const int event : sent[i]) {
      const auto response = clients[i].read_response();
      ASSERT_TRUE(response) << gateway.log();
      answers[event].emplace(status_of(*response), event_id_of(*response));
    }
  }
  ASSERT_EQ(answers.size(), static_cast<size_t>(kEvents));
  for (const auto& [event, both] : answers) {
    ASSERT_EQ(both.size(), 2u);
    EXPECT_EQ(both.begin()->first, "duplicate_ignored") << event;
    EXPECT_EQ(both.rbegin()->first, "queued") << event;
    EXPECT_EQ(both.begin()->second, both.rbegin()->second) << "both name the one that is stored";
  }
  EXPECT_EQ(gateway.store().events(), kEvents);
  EXPECT_TRUE(eventually(kSoon, [&] { return gateway.store().deliveries("done") == kEvents; })) << gateway.log();
  EXPECT_EQ(gateway.stop().code, 0) << gateway.log();
}

}  // namespace
}  // namespace postern::testing
