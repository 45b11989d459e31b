// A connection that is given away behind a 101: with every byte that came behind the request, and with nothing left here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/http/connection.h"
#include "tests/unit/http/connection_harness.h"

namespace postern::http::testing {
namespace {

constexpr const char* kSwitching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";

class Upgrades : public ConnectionTest {
 protected:
  void upgrade(const std::shared_ptr<Exchange>& exchange) {
    exchange->upgrade(kSwitching, [this](Upgraded upgraded) { given_.set_value(std::move(upgraded)); });
  }
  void upgrade_at_once() {
    on_loop([this] { service_.request = [this](const std::shared_ptr<Exchange>& exchange) { upgrade(exchange); }; });
  }
  // What was given away; nothing within ten seconds is a failure.
  Upgraded given() {
    auto future = given_.get_future();
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) throw std::runtime_error("nothing was given away");
    return future.get();
  }
  static std::string read_all(const Client& client, size_t bytes) {
    std::string text;
    char c;
    while (text.size() < bytes && ::recv(client.fd(), &c, 1, 0) == 1) text += c;
    return text;
  }

  std::promise<Upgraded> given_;
};

TEST_F(Upgrades, GiveTheStreamAwayBehindTheAnswer) {
  upgrade_at_once();
  auto client = connect();
  client->send(get("/ws"));
  Upgraded upgraded = given();
  EXPECT_EQ(read_all(*client, std::string(kSwitching).size()), kSwitching);
  EXPECT_TRUE(upgraded.first.empty());
  EXPECT_TRUE(all_closed_within(milliseconds(5000))) << "no connection of HTTP is left";
  EXPECT_EQ(budget_used(), 0u);
  client->send("now");
  char bytes[10];
  while (upgraded.stream->read(bytes, sizeof bytes).outcome == net::Stream::Outcome::kWouldBlock) std::this_thread::yield();
  EXPECT_EQ(std::string(bytes, 3), "now");
  EXPECT_EQ(upgraded.stream->write("back", 4).bytes, 4u);
  EXPECT_EQ(read_all(*client, 4), "back");
}

TEST_F(Upgrades, KeepWhatCameBehindTheRequest) {
  upgrade_at_once();
  auto client = connect();
  client->send(get("/ws") + "early bytes");
  EXPECT_EQ(given().first, "early bytes");
}

TEST_F(Upgrades, KeepWhatCameWhileTheAnswerWasMade) {
  keep_requests();
  auto client = connect();
  client->send(get("/ws") + "some");
  wait_for_request();
  const std::string more(20'000, 'm');
  client->send(more);
  while (budget_used() < 4 + more.size()) std::this_thread::yield();
  on_loop([this] {
    upgrade(kept_.front());
    kept_.clear();
  });
  EXPECT_EQ(given().first, "some" + more);
  EXPECT_EQ(budget_used(), 0u);
}

TEST_F(Upgrades, AreForgottenWhenTheClientHasGone) {
  keep_requests();
  auto client = connect();
  client->send(get("/ws"));
  wait_for_request();
  client->close();
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  on_loop([this] {
    kept_.front()->upgrade(kSwitching, [](Upgraded) { ADD_FAILURE() << "given away to nobody"; });
    kept_.clear();
  });
}

// Frames would begin in the middle.
TEST_F(Upgrades, DoNotHappenWithoutTheBytesBehindTheRequest) {
  use_up_budget();
  on_loop([this] {
    service_.request = [](const std::shared_ptr<Exchange>& exchange) {
      exchange->upgrade(kSwitching, [](Upgraded) { ADD_FAILURE() << "bytes are missing"; });
    };
  });
  auto client = connect();
  client->send(get("/ws") + std::string(10'000, 'x'));
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
}

TEST_F(Upgrades, CountForTheClientAsLongAsTheyLive) {
  ConnectionCounts counts;
  upgrade_at_once();
  auto slot = counts.take(net::client_key("192.0.2.1"), 1);
  ASSERT_TRUE(slot);
  slot_ = std::move(*slot);
  auto client = connect();
  client->send(get("/ws"));
  {
    Upgraded upgraded = given();
    EXPECT_TRUE(all_closed_within(milliseconds(5000)));
    EXPECT_FALSE(counts.take(net::client_key("192.0.2.1"), 1));
  }
  EXPECT_TRUE(counts.take(net::client_key("192.0.2.1"), 1));
}

}  // namespace
}  // namespace postern::http::testing
