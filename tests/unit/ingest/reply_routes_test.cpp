// Reply routes over a socket: the plugin composes the answer on a thread of its own, and whatever it does there is one answer.
#include "tests/unit/ingest/reply_harness.h"

namespace postern::ingest {
namespace {

using testing::Client;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kBody;
using Returned = Reply::Returned;
using ReplyRouteTest = testing::ReplyHarness;

TEST_F(ReplyRouteTest, AnswersWhatThePluginComposed) {
  handler_ = [](const std::shared_ptr<Reply>& reply) {
    http::Response response;
    response.status = 201;
    response.body = "<Response/>";
    response.headers = {{"Content-Type", "text/xml"}, {"X-Mine", "1"}, {"x-mine", "2"}};
    EXPECT_TRUE(reply->send(std::move(response)));
  };
  Client::Answer answer = ask("/answer");
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "<Response/>");
  EXPECT_TRUE(answer.has("\r\nContent-Type: text/xml\r\n")) << answer.head;
  EXPECT_FALSE(answer.has("application/json")) << answer.head;
  EXPECT_TRUE(answer.has("\r\nX-Mine: 1\r\nx-mine: 2\r\n")) << answer.head;
  EXPECT_EQ(sink_.size(), 0u) << "it is not an event";
}

TEST_F(ReplyRouteTest, ShowsThePluginTheWholeRequest) {
  std::string id;  // of the request, as the plugin's log lines have it
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    const http::RequestView& view = reply->request();
    EXPECT_EQ(view.method, "POST");
    EXPECT_EQ(view.target, "/calls/CA%31/voice?b=1");
    EXPECT_EQ(view.body, "From=%2B1&To=2");
    EXPECT_EQ(view.remote, "127.0.0.1");
    EXPECT_EQ(view.header("x-extra", 0), "one");
    EXPECT_EQ(view.form(), (http::Form{{"From", "+1"}, {"To", "2"}}));
    EXPECT_EQ(*view.path, (http::PathParameters{{"call", "CA1"}}));
    EXPECT_THAT(*view.urls, ElementsAre("https://hooks.acme.io/calls/CA%31/voice?b=1"));
    id = reply->request_id();
    send(reply, "{}");
  };
  on_loop([this] { urls_.public_url = "https://hooks.acme.io"; });
  Client::Answer answer =
      ask("/calls/CA%31/voice?b=1", "From=%2B1&To=2", "X-Extra: one\r\nContent-Type: application/x-www-form-urlencoded\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.request_id(), id) << "what the plugin logs is found by what the client has";
}

TEST_F(ReplyRouteTest, RunsThePluginOnAThreadOfItsOwn) {
  std::thread::id loop, plugin;
  on_loop([&] { loop = std::this_thread::get_id(); });
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    plugin = std::this_thread::get_id();
    send(reply, "{}");
  };
  EXPECT_EQ(ask("/answer").status, 200);
  EXPECT_NE(plugin, loop);
}

// Attack: response splitting and framing by what a provider sent and the plugin repeats.
TEST_F(ReplyRouteTest, FramesTheAnswerItself) {
  handler_ = [](const std::shared_ptr<Reply>& reply) {
    http::Response response;
    response.body = "whole";
    response.headers = {{"Content-Length", "1"},
                        {"Transfer-Encoding", "chunked"},
                        {"Connection", "close"},
                        {"X-Request-Id", "mine"},
                        {"X-Split", "a\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK"},
                        {"X Evil", "2"}};
    EXPECT_TRUE(reply->send(std::move(response)));
  };
  for (int i = 0; i < 2; ++i) {
    Client::Answer answer = ask("/answer");
    EXPECT_EQ(answer.body, "whole");
    for (const char* text : {"Content-Length: 1\r\n", "Transfer-Encoding", "Connection: close", "mine", "\r\nX-Evil", "X Evil"}) {
      EXPECT_FALSE(answer.has(text)) << answer.head;
    }
  }
}

// A body after the answer to HEAD would be read as the next answer.
TEST_F(ReplyRouteTest, AnswersHeadWithoutABody) {
  handler_ = [](const std::shared_ptr<Reply>& reply) { send(reply, R"({"for":"HEAD"})"); };
  client_->send("HEAD /head HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
  std::string answer = client_->read_all();
  EXPECT_THAT(answer, ::testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 14\r\n"));
  EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n"));
}

TEST_F(ReplyRouteTest, AnswersPipelinedRequestsInTheirOrder) {
  handler_ = [](const std::shared_ptr<Reply>& reply) { send(reply, std::string(reply->request().body)); };
  client_->send(request("/answer", R"({"n":1})") + request("/answer", R"({"n":2})") + request("/answer", R"({"n":3})"));
  for (int n = 1; n <= 3; ++n) EXPECT_EQ(client_->read_answer().body, "{\"n\":" + std::to_string(n) + "}");
}

TEST_F(ReplyRouteTest, LooksAtTheBodyBeforeThePluginDoes) {
  handler_ = [](const std::shared_ptr<Reply>&) { ADD_FAILURE() << "the plugin was asked"; };
  EXPECT_EQ(ask("/answer", "not json").status, 422);
}

// ---- plugins that fail

TEST_F(ReplyRouteTest, IsAFailureWhateverThePluginDidInsteadOfAnswering) {
  const std::vector<ReplyHandler> failures = {
      [](const auto& reply) { reply->on_return(Returned::kFailed, "exception: token s3cret is bad"); },
      [](const auto& reply) { reply->on_return(Returned::kDone, ""); },
      [](const auto& reply) { reply->on_return(Returned::kPending, ""); },
      [](const auto& reply) { reply->drop(); },
      [](const auto& reply) {
        reply->detach();
        reply->drop();
      },
  };
  for (const ReplyHandler& failure : failures) {
    handler_ = failure;
    Client::Answer answer = ask("/answer");
    EXPECT_EQ(answer.status, 500);
    EXPECT_EQ(answer.body, R"({"error":"the answer could not be composed"})") << "no inner details";
    EXPECT_FALSE(answer.has("Retry-After"));
  }
  handler_ = [](const auto& reply) { send(reply, "{}"); };
  EXPECT_EQ(ask("/answer").status, 200) << "and the next one is answered";
}

TEST_F(ReplyRouteTest, AnswersOnceWhenThePluginAnswersTwice) {
  Status second;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    send(reply, R"({"n":1})");
    second = reply->send(http::Response::json(200, R"({"n":2})"));
    reply->drop();
    reply->on_return(Returned::kFailed, "confused");
    gate_.pass();
  };
  gate_.open();
  EXPECT_EQ(ask("/answer").body, R"({"n":1})");
  ASSERT_TRUE(gate_.wait_for_passed(1));
  EXPECT_EQ(second.code(), Code::kGone);
  handler_ = [](const auto& reply) { send(reply, R"({"n":3})"); };
  EXPECT_EQ(ask("/answer").body, R"({"n":3})");
}

TEST_F(ReplyRouteTest, AnswersAtTheDeadlineAndTakesNothingLater) {
  Status late;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    late = reply->send(http::Response::json(200, R"({"late":true})"));
    after_.pass();
  };
  int64_t begin = steady_ms();
  Client::Answer answer = ask("/quick");
  int64_t took = steady_ms() - begin;
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.body, R"({"error":"the answer took too long"})");
  EXPECT_GE(took, kQuickMs) << "never early";
  EXPECT_LT(took, 5'000);
  gate_.open();
  after_.open();
  ASSERT_TRUE(after_.wait_for_passed(1));
  EXPECT_EQ(late.code(), Code::kGone);
  on_loop([] {});
  handler_ = [](const auto& reply) { send(reply, R"({"next":true})"); };
  EXPECT_EQ(ask("/answer").body, R"({"next":true})") << "not the late answer to another request";
}

// ---- threads

// Eight hanging handlers must not stop what the gateway promises to everybody else on the loop.
TEST_F(ReplyRouteTest, TurnsAwayWhatNoThreadIsFreeForAndServesTheRest) {
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    send(reply, "{}");
  };
  std::vector<std::unique_ptr<Client>> hanging;
  for (int i = 0; i < kThreads; ++i) {
    hanging.push_back(connect_tcp());
    hanging.back()->send(request("/answer", kBody));
  }
  ASSERT_TRUE(gate_.wait_for_arrivals(kThreads));
  auto turned_away = connect_tcp();
  int64_t begin = steady_ms();
  turned_away->send(request("/answer", kBody));

  post("/hook");
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
  EXPECT_FALSE(turned_away->readable_within(0)) << "the event was answered while the other one waited";

  Client::Answer answer = turned_away->read_answer();
  int64_t took = steady_ms() - begin;
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  EXPECT_EQ(answer.body, R"({"error":"too busy to answer"})");
  EXPECT_GE(took, 900);
  EXPECT_LT(took, 3'000) << "a caller hears silence meanwhile";

  gate_.open();
  for (auto& client : hanging) EXPECT_EQ(client->read_answer().status, 200);
  EXPECT_EQ(ask("/answer").status, 200);
  EXPECT_EQ(gate_.arrived(), kThreads + 1) << "what was turned away was never begun";
}

TEST_F(ReplyRouteTest, TurnsAwayAtOnceWhatHasNoRoomToWait) {
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    send(reply, "{}");
  };
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kThreads + kWaiting; ++i) {
    clients.push_back(connect_tcp());
    clients.back()->send(request("/answer", kBody));
    if (i < kThreads) {
      ASSERT_TRUE(gate_.wait_for_arrivals(i + 1));
    }
  }
  on_loop([] {});
  ASSERT_TRUE(eventually([&] { return pool_->status().waiting == kWaiting; }));
  int64_t begin = steady_ms();
  Client::Answer answer = ask("/answer");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  EXPECT_LT(steady_ms() - begin, 800);
  gate_.open();
}

TEST_F(ReplyRouteTest, RecoversFromThreadsThatHung) {
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    if (reply->request().target == "/quick") gate_.pass();
    static_cast<void>(reply->send(http::Response::json(200, "{}")));
  };
  std::vector<std::unique_ptr<Client>> hanging;
  for (int i = 0; i < kThreads; ++i) {
    hanging.push_back(connect_tcp());
    hanging.back()->send(request("/quick", kBody));
  }
  for (auto& client : hanging) EXPECT_EQ(client->read_answer().status, 504);
  EXPECT_EQ(ask("/answer").status, 200) << "they are replaced";
  ASSERT_TRUE(eventually([&] { return pool_->status().busy == kThreads; })) << "idle again, else the next call brings a thread of its own";
  EXPECT_EQ(ask("/quick").status, 504);
  EXPECT_EQ(ask("/answer").status, 503) << "but not without end";
  gate_.open();
  ASSERT_TRUE(eventually([&] { return pool_->status().stuck == 0; }));
  EXPECT_EQ(ask("/answer").status, 200);
}

// ---- detached replies

TEST_F(ReplyRouteTest, HoldsNoThreadForDetachedReplies) {
  std::mutex mutex;
  std::vector<std::shared_ptr<Reply>> detached;
  constexpr size_t kMany = 3 * kThreads;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    reply->detach();
    {
      std::lock_guard lock(mutex);
      detached.push_back(reply);
    }
    reply->on_return(Returned::kPending, "");
    gate_.pass();
  };
  gate_.open();
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < kMany; ++i) {
    clients.push_back(connect_tcp());
    clients.back()->send(request("/answer", "{\"n\":" + std::to_string(i) + "}"));
    ASSERT_TRUE(gate_.wait_for_passed(static_cast<int>(i) + 1));
  }
  for (size_t i = kMany; i-- > 0;) {
    EXPECT_FALSE(clients[i]->readable_within(0));
    send(detached[i], std::string(detached[i]->request().body));
    EXPECT_EQ(clients[i]->read_answer().body, "{\"n\":" + std::to_string(i) + "}");
  }
}

TEST_F(ReplyRouteTest, AnswersAtTheDeadlineWhatIsDetachedAndNeverSent) {
  std::shared_ptr<Reply> kept;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    reply->detach();
    kept = reply;
    reply->on_return(Returned::kPending, "");
  };
  EXPECT_EQ(ask("/quick").status, 504);
  EXPECT_EQ(kept->send(http::Response::json(200, "{}")).code(), Code::kGone);
  EXPECT_EQ(kept->request().body, kBody) << "views stay valid, however late";
}

// ---- clients that go, gateways that stop

TEST_F(ReplyRouteTest, OutlivesAClientThatIsGone) {
  after_.open();
  int n = 0;
  for (bool answers : {true, false}) {
    ++n;
    gate_.close();
    handler_ = [this, answers](const std::shared_ptr<Reply>& reply) {
      gate_.pass();
      answers ? send(reply, "{}") : reply->on_return(Returned::kFailed, "why");
      after_.pass();
    };
    auto client = connect_tcp();
    client->send(request("/answer", kBody));
    ASSERT_TRUE(gate_.wait_for_arrivals(n));
    client->reset();
    gate_.open();
    ASSERT_TRUE(after_.wait_for_passed(n));
  }
  handler_ = [](const auto& reply) { send(reply, R"({"next":true})"); };
  EXPECT_EQ(ask("/answer").body, R"({"next":true})");
  client_->close();
  EXPECT_TRUE(all_closed_within(std::chrono::seconds(10)));
}

TEST_F(ReplyRouteTest, FinishesWhatItBeganWhileItDrains) {
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    send(reply, "{}");
  };
  auto begun = connect_tcp();
  begun->send(request("/answer", kBody));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  on_loop([this] { ingest_->start_draining(); });
  Client::Answer answer = ask("/answer");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  EXPECT_EQ(gate_.arrived(), 1) << "and begins nothing";
  gate_.open();
  EXPECT_EQ(begun->read_answer().status, 200);
}

TEST_F(ReplyRouteTest, AnswersWithoutThePluginWhenTheLoopEnds) {
  Status late;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    late = reply->send(http::Response::json(200, "{}"));
    after_.pass();
  };
  post("/answer");
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  on_loop([this] { ingest_->end_calls(); });
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  gate_.open();
  after_.open();
  ASSERT_TRUE(after_.wait_for_passed(1));
  EXPECT_EQ(late.code(), Code::kGone);
}

}  // namespace
}  // namespace postern::ingest
