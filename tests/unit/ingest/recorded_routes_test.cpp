// Reply routes whose requests are events as well: the answer waits until that is durable.
#include <mutex>

#include "tests/unit/ingest/reply_harness.h"

namespace postern::ingest {
namespace {

using testing::Client;
using ::testing::HasSubstr;
using testing::kBody;
using ::testing::Not;
using Returned = Reply::Returned;

class RecordedRouteTest : public testing::ReplyHarness {
 protected:
  RecordedRouteTest() {
    handler_ = [this](const std::shared_ptr<Reply>& reply) {
      gate_.pass();
      Status sent = reply->send(http::Response::json(200, R"({"composed":true})"));
      {
        std::lock_guard lock(sent_mutex_);  // several may be composing
        sent_ = sent;
      }
      after_.pass();
    };
    after_.open();
  }
  // The handler's answer is with the loop.
  void let_it_compose() {
    gate_.open();
    ASSERT_TRUE(after_.wait_for_passed(1));
    on_loop([] {});
  }

  Status sent() {
    std::lock_guard lock(sent_mutex_);
    return sent_;
  }

 private:
  std::mutex sent_mutex_;
  Status sent_;
};

TEST_F(RecordedRouteTest, GivesTheEventToTheStoreAndTheRequestToThePlugin) {
  std::string seen;
  handler_ = [&](const std::shared_ptr<Reply>& reply) {
    seen = reply->request().body;
    send(reply, "{}");
  };
  post("/recorded", kBody, "X-Extra: one\r\n");
  auto events = sink_.take();
  ASSERT_EQ(events.size(), 1u);
  const NewEvent& event = events[0]->event;
  EXPECT_EQ(event.type, "acme.thing.made");
  EXPECT_EQ(event.external_id, "EV1");
  EXPECT_EQ(event.body, kBody);
  EXPECT_EQ(event.remote, "127.0.0.1");
  EXPECT_THAT(event.headers, HasSubstr("X-Extra: one\r\n"));
  EXPECT_EQ(event.targets->size(), 1u);
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().status, 200);
  EXPECT_EQ(seen, kBody);
}

TEST_F(RecordedRouteTest, AnswersOnlyWhenItIsDurable) {
  post("/recorded");
  auto events = sink_.take();
  let_it_compose();
  EXPECT_FALSE(client_->readable_within(0)) << "an answer although nothing is durable";
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().body, R"({"composed":true})");
}

TEST_F(RecordedRouteTest, AnswersOnlyWhenItIsComposed) {
  post("/recorded");
  commit(sink_.take());
  on_loop([] {});
  EXPECT_FALSE(client_->readable_within(0));
  gate_.open();
  EXPECT_EQ(client_->read_answer().body, R"({"composed":true})");
}

// A provider that tries again wants its answer, not to hear that it asked before.
TEST_F(RecordedRouteTest, ComposesTheAnswerToADuplicateAgain) {
  gate_.open();
  post("/recorded");
  commit(sink_.take(), Outcome::kStored, 3);
  EXPECT_EQ(client_->read_answer().body, R"({"composed":true})");
  post("/recorded");
  commit(sink_.take(), Outcome::kDuplicate, 3);
  EXPECT_EQ(client_->read_answer().body, R"({"composed":true})");
  EXPECT_EQ(gate_.arrived(), 2);
}

TEST_F(RecordedRouteTest, AsksToTryAgainWhatCouldNotBeStored) {
  int n = 0;
  for (bool composed_first : {true, false}) {
    post("/recorded");
    auto events = sink_.take();
    ASSERT_TRUE(gate_.wait_for_arrivals(++n));
    if (composed_first) let_it_compose();
    commit(std::move(events), Outcome::kFailed);
    Client::Answer answer = client_->read_answer();
    EXPECT_EQ(answer.status, 503);
    EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
    EXPECT_THAT(answer.body, Not(HasSubstr("composed")));
    EXPECT_THAT(answer.body, Not(HasSubstr("disk"))) << "internals in an answer";
    if (composed_first) gate_.close();
  }
  gate_.open();
  ASSERT_TRUE(after_.wait_for_passed(2));
  EXPECT_EQ(sent().code(), Code::kGone) << "composed after the failure";
}

TEST_F(RecordedRouteTest, TellsOfAPluginThatFailedWithoutWaitingForTheCommit) {
  handler_ = [](const std::shared_ptr<Reply>& reply) { reply->on_return(Returned::kFailed, "why"); };
  post("/recorded");
  EXPECT_EQ(client_->read_answer().status, 500);
  auto events = sink_.take();
  EXPECT_EQ(events.size(), 1u) << "the event is one all the same";
  commit(std::move(events));
  handler_ = [](const std::shared_ptr<Reply>& reply) { send(reply, R"({"next":true})"); };
  EXPECT_EQ(ask("/answer").body, R"({"next":true})") << "the commit answers nothing a second time";
}

TEST_F(RecordedRouteTest, DoesNotAnswerBeforeACommitThatTakesTooLong) {
  gate_.open();
  post("/recorded/quick");
  auto events = sink_.take();
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 503) << "composed in time, but not stored";
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  commit(std::move(events));
  EXPECT_EQ(ask("/answer").status, 200) << "once";
}

TEST_F(RecordedRouteTest, IsTooLateWhenThePluginIsWhateverTheStoreDid) {
  post("/recorded/quick");
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 504);
  let_it_compose();
  EXPECT_EQ(sent().code(), Code::kGone);
}

// Full, down or draining: what could not be recorded must not be composed.
TEST_F(RecordedRouteTest, IsUnavailableWhileTheStoreIs) {
  sink_.set_accepting({Code::kLimit, "backlog of /var/lib/store is full"});
  Client::Answer answer = ask("/recorded");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  EXPECT_EQ(gate_.arrived(), 0);
  gate_.open();
  client_ = connect_tcp();  // refused before its body, the first one was closed
  EXPECT_EQ(ask("/answer").status, 200) << "a route that stores nothing needs no store";
}

TEST_F(RecordedRouteTest, OutlivesAClientThatIsGone) {
  post("/recorded");
  auto events = sink_.take();
  client_->reset();
  let_it_compose();
  commit(std::move(events));
  EXPECT_TRUE(all_closed_within(std::chrono::seconds(10)));
}

TEST_F(RecordedRouteTest, OutlivesTheEndOfTheLoopsCalls) {
  post("/recorded");
  auto events = sink_.take();
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  on_loop([this] { ingest_->end_calls(); });
  EXPECT_EQ(client_->read_answer().status, 503);
  commit(std::move(events));
  on_loop([] {});
  let_it_compose();
  EXPECT_EQ(sent().code(), Code::kGone);
}

// Nobody was asked for an answer, so the provider's next try is the first one.
TEST_F(RecordedRouteTest, RecordsNothingWhereThereIsNoRoom) {
  struct Hanging final : CallPool::Call {
    explicit Hanging(testing::Gate& g) : CallPool::Call(steady_ms() + 3'600'000, 0), gate(g) {}
    void run() override { gate.pass(); }
    testing::Gate& gate;
  };
  for (int i = 0; i < kThreads + kWaiting; ++i) {
    ASSERT_TRUE(pool_->submit(std::make_shared<Hanging>(gate_)));
    ASSERT_TRUE(i >= kThreads || gate_.wait_for_arrivals(i + 1));
  }
  Client::Answer answer = ask("/recorded");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  on_loop([] {});
  EXPECT_EQ(sink_.size(), 0u);
}

TEST_F(RecordedRouteTest, RecordsAlsoWhatNoThreadIsFreeFor) {
  handler_ = [this](const std::shared_ptr<Reply>& reply) {
    gate_.pass();
    send(reply, "{}");
  };
  std::vector<std::unique_ptr<Client>> hanging;
  for (int i = 0; i < kThreads; ++i) {
    hanging.push_back(connect_tcp());
    hanging.back()->send(request("/answer", kBody));
  }
  ASSERT_TRUE(gate_.wait_for_arrivals(kThreads));
  post("/recorded");
  auto events = sink_.take();
  EXPECT_EQ(client_->read_answer().status, 503);
  commit(std::move(events));
  on_loop([] {});
  gate_.open();
  for (auto& client : hanging) EXPECT_EQ(client->read_answer().status, 200);
  EXPECT_EQ(ask("/answer").status, 200);
}

}  // namespace
}  // namespace postern::ingest
