// WebSocket routes over a socket: the plugin accepts or refuses on a thread of its own, and what is accepted is given away.
#include "tests/unit/ingest/reply_harness.h"

namespace postern::ingest {
namespace {

using testing::Client;
using ::testing::HasSubstr;

const std::string kHandshake =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

class WebsocketRouteTest : public testing::ReplyHarness {
 protected:
  WebsocketRouteTest() {
    for (const char* path : {"/ws", "/ws/quick"}) {
      add(path, [&](Route& r) {
        r.kind = Route::Kind::kWebsocket;
        r.method = "GET";
        r.reply = [this](const std::shared_ptr<Reply>& reply) { handler_(reply); };
        r.replying = pool_;
        r.rules.content_types.clear();
        if (std::string_view(path).ends_with("quick")) r.deadline_ms = kQuickMs;
      });
    }
  }
  void open(const std::string& headers = kHandshake, const std::string& path = "/ws", const std::string& behind = "") {
    client_ = connect_tcp();
    client_->send("GET " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + behind);
  }
  http::Taker taker() {
    return [this](http::Upgraded upgraded) { given_.set_value(std::move(upgraded)); };
  }
  http::Upgraded given() {
    auto future = given_.get_future();
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) throw std::runtime_error("nothing was given away");
    return future.get();
  }

  std::promise<http::Upgraded> given_;
};

TEST_F(WebsocketRouteTest, IsGivenAwayWhereThePluginAccepts) {
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    EXPECT_EQ(reply->request().target, "/ws");
    EXPECT_TRUE(reply->accept({"b"}, taker()));
    EXPECT_EQ(reply->accept({}, nullptr).code(), Code::kGone) << "once";
  };
  open(kHandshake + "Sec-WebSocket-Protocol: a, b\r\n", "/ws", "early");
  Client::Answer answer = client_->read_answer(true);
  EXPECT_EQ(answer.status, 101);
  EXPECT_TRUE(answer.has("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) << answer.head;
  EXPECT_TRUE(answer.has("Sec-WebSocket-Protocol: b\r\n")) << answer.head;
  http::Upgraded upgraded = given();
  EXPECT_EQ(upgraded.first, "early");
  EXPECT_EQ(upgraded.stream->write("back", 4).bytes, 4u);
  EXPECT_EQ(sink_.size(), 0u) << "it is not an event";
}

TEST_F(WebsocketRouteTest, IsRefusedWhereThePluginRefuses) {
  handler_ = [](const std::shared_ptr<Reply>& reply) { EXPECT_TRUE(reply->send(http::Response::error(403, "not you"))); };
  open();
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 403);
  EXPECT_THAT(answer.body, HasSubstr("not you"));
}

TEST_F(WebsocketRouteTest, AsksThePluginOnlyForHandshakes) {
  handler_ = [](const std::shared_ptr<Reply>&) { ADD_FAILURE() << "the plugin was asked"; };
  open("");
  EXPECT_EQ(client_->read_answer().status, 400);
  std::string old = kHandshake;
  open(old.replace(old.find("13"), 2, "12"));
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 426);
  EXPECT_TRUE(answer.has("Sec-WebSocket-Version: 13\r\n"));
}

TEST_F(WebsocketRouteTest, IsToldWhatBecameOfThePlugin) {
  handler_ = [](const std::shared_ptr<Reply>& reply) { reply->on_return(Reply::Returned::kFailed, "thrown"); };
  open();
  EXPECT_EQ(client_->read_answer().status, 500);
}

TEST_F(WebsocketRouteTest, WaitsForThePluginUntilItsDeadline) {
  bool dropped = false;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    auto told = std::shared_ptr<void>(nullptr, [&](void*) { dropped = true; });
    EXPECT_EQ(reply->accept({}, [told](http::Upgraded) { ADD_FAILURE() << "too late"; }).code(), Code::kGone);
    told.reset();
    EXPECT_TRUE(dropped) << "whoever waits for the session hears of it";
    after_.pass();
  };
  open(kHandshake, "/ws/quick");
  EXPECT_EQ(client_->read_answer().status, 504);
  gate_.open();
  EXPECT_TRUE(after_.wait_for_arrivals(1));
}

TEST_F(WebsocketRouteTest, IsForgottenWhenTheClientHasGone) {
  std::promise<void> dropped;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    auto told = std::shared_ptr<void>(nullptr, [&](void*) { dropped.set_value(); });
    EXPECT_TRUE(reply->accept({}, [told](http::Upgraded) { ADD_FAILURE() << "given away to nobody"; }));
  };
  open();
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  client_->reset();
  on_loop([] {});
  ASSERT_TRUE(eventually([this] {
    size_t open = 1;
    on_loop([&] { open = connections_.size(); });
    return open == 0;
  }));
  gate_.open();
  EXPECT_EQ(dropped.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace postern::ingest
