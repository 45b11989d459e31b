// The promise of one answer: kept once, whoever comes first.
#include "core/ingest/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace postern::ingest {
namespace {

using Returned = Reply::Returned;

class ReplyTest : public ::testing::Test {
 protected:
  ReplyTest() {
    Reply::Asked asked;
    asked.request = http::Request::from_parts("POST", "/call?a=1",
                                              "Content-Type: application/x-www-form-urlencoded\r\nX-A: b\r\n", "From=%2B1");
    asked.path = {{"id", "7"}};
    asked.urls = {"https://hooks.acme.io/call?a=1"};
    asked.remote = "192.0.2.1";
    asked.request_id = "req_1";
    reply_ = std::make_shared<Reply>(std::move(asked), [this](Reply::End end) { ends_.push_back(std::move(end)); });
  }
  static http::Response answer(const std::string& body) { return http::Response::json(201, body); }

  std::vector<Reply::End> ends_;
  std::shared_ptr<Reply> reply_;
};

#define EXPECT_FAILED(WHY)                       \
  do {                                           \
    ASSERT_EQ(ends_.size(), 1u);                 \
    EXPECT_FALSE(ends_[0].response.has_value()); \
    EXPECT_EQ(ends_[0].why, WHY);                \
  } while (false)

TEST_F(ReplyTest, ShowsWhatIsAsked) {
  const http::RequestView& view = reply_->request();
  EXPECT_EQ(view.method, "POST");
  EXPECT_EQ(view.target, "/call?a=1");
  EXPECT_EQ(view.body, "From=%2B1");
  EXPECT_EQ(view.remote, "192.0.2.1");
  EXPECT_EQ(view.header("x-a", 0), "b");
  EXPECT_EQ(view.form(), (http::Form{{"From", "+1"}}));
  ASSERT_NE(view.urls, nullptr);
  EXPECT_THAT(*view.urls, ::testing::ElementsAre("https://hooks.acme.io/call?a=1"));
  ASSERT_NE(view.path, nullptr);
  EXPECT_EQ(view.path->at(0).second, "7");
  EXPECT_EQ(reply_->request_id(), "req_1");
}

TEST_F(ReplyTest, IsSentOnce) {
  EXPECT_TRUE(reply_->send(answer("first")));
  Status second = reply_->send(answer("second"));
  EXPECT_EQ(second.code(), Code::kGone);
  ASSERT_EQ(ends_.size(), 1u);
  ASSERT_TRUE(ends_[0].response.has_value());
  EXPECT_EQ(ends_[0].response->body, "first");
  EXPECT_EQ(ends_[0].response->status, 201);
  EXPECT_EQ(reply_->request().body, "From=%2B1") << "the plugin may still look at the request";
}

TEST_F(ReplyTest, IsOverWhenItExpires) {
  EXPECT_TRUE(reply_->expire());
  EXPECT_EQ(reply_->send(answer("late")).code(), Code::kGone);
  reply_->drop();
  reply_->on_return(Returned::kFailed, "late");
  EXPECT_FALSE(reply_->expire());
  EXPECT_TRUE(ends_.empty()) << "whoever let it expire has answered";
}

TEST_F(ReplyTest, DoesNotExpireAfterItsEnd) {
  EXPECT_TRUE(reply_->send(answer("in time")));
  EXPECT_FALSE(reply_->expire());
  EXPECT_EQ(ends_.size(), 1u);
}

TEST_F(ReplyTest, BeginsUnlessItIsTooLate) {
  EXPECT_FALSE(reply_->begun());
  EXPECT_TRUE(reply_->begin());
  EXPECT_TRUE(reply_->begun());
  Reply late({}, [](const Reply::End&) { ADD_FAILURE() << "nobody waits for it"; });
  EXPECT_TRUE(late.expire());
  EXPECT_FALSE(late.begin());
  EXPECT_FALSE(late.begun());
}

// ---- how the handler returned

TEST_F(ReplyTest, WithoutAnAnswerHasFailed) {
  reply_->on_return(Returned::kDone, "");
  EXPECT_FAILED("the handler returned without an answer");
  EXPECT_EQ(reply_->send(answer("late")).code(), Code::kGone);
}

TEST_F(ReplyTest, PendingWithoutDetachHasFailed) {
  reply_->on_return(Returned::kPending, "");
  EXPECT_FAILED("the handler returned pending without detach()");
}

TEST_F(ReplyTest, OfAFailedHandlerHasFailed) {
  reply_->on_return(Returned::kFailed, "exception: no such account");
  EXPECT_FAILED("exception: no such account");
}

TEST_F(ReplyTest, KeepsItsAnswerWhateverTheHandlerReturns) {
  for (Returned how : {Returned::kDone, Returned::kPending, Returned::kFailed}) {
    int ends = 0;
    Reply reply({}, [&](const Reply::End& end) { ends += end.response.has_value() ? 1 : 100; });
    EXPECT_TRUE(reply.send(answer("sent")));
    reply.on_return(how, "too late to fail");
    EXPECT_EQ(ends, 1);
  }
}

TEST_F(ReplyTest, LivesOnWhenItIsDetached) {
  reply_->detach();
  reply_->on_return(Returned::kPending, "");
  EXPECT_TRUE(ends_.empty());
  EXPECT_TRUE(reply_->send(answer("later")));
  ASSERT_EQ(ends_.size(), 1u);
  EXPECT_EQ(ends_[0].response->body, "later");
}

// Another thread may have sent it already; whether the handler then fails is no longer the client's matter.
TEST_F(ReplyTest, IsNotEndedByTheReturnOfWhoDetachedIt) {
  for (Returned how : {Returned::kDone, Returned::kPending, Returned::kFailed}) {
    int ends = 0;
    Reply reply({}, [&](const Reply::End&) { ++ends; });
    reply.detach();
    reply.on_return(how, "why");
    EXPECT_EQ(ends, 0) << static_cast<int>(how);
  }
}

TEST_F(ReplyTest, ThatIsDroppedHasFailed) {
  reply_->detach();
  reply_->drop();
  EXPECT_FAILED("the plugin dropped the reply");
  reply_->drop();
  EXPECT_EQ(reply_->send(answer("after all")).code(), Code::kGone);
  EXPECT_EQ(ends_.size(), 1u);
}

TEST_F(ReplyTest, OfWhichNobodyHearsAnyMoreEndsInSilence) {
  std::weak_ptr<Reply> weak = reply_;
  reply_.reset();
  EXPECT_TRUE(weak.expired());
  EXPECT_TRUE(ends_.empty());
}

// What the host holds for the end goes with the end: it holds the connection of a client that has its answer.
TEST_F(ReplyTest, LetsGoOfWhoWaited) {
  for (bool expires : {false, true}) {
    auto waiting = std::make_shared<int>(0);
    Reply reply({}, [waiting](const Reply::End&) {});
    EXPECT_EQ(waiting.use_count(), 2);
    expires ? static_cast<void>(reply.expire()) : static_cast<void>(reply.send(answer("x")));
    EXPECT_EQ(waiting.use_count(), 1);
  }
}

// ---- races

// Two threads that do this and that at the same moment, many times; how often the reply ended, and how often somebody was told
// that it was his doing.
void race(const std::function<bool(Reply&)>& one, const std::function<bool(Reply&)>& other, bool one_is_silent) {
  for (int round = 0; round < 2'000; ++round) {
    std::atomic<int> ends{0};
    Reply reply({}, [&](const Reply::End&) { ++ends; });
    std::latch both(2);
    bool first_won = false, second_won = false;
    std::thread thread([&] {
      both.arrive_and_wait();
      first_won = one(reply);
    });
    both.arrive_and_wait();
    second_won = other(reply);
    thread.join();
    ASSERT_NE(first_won, second_won) << "exactly one of them ends it";
    ASSERT_EQ(ends, first_won && one_is_silent ? 0 : 1);
  }
}

bool sends(Reply& reply) { return reply.send(http::Response::json(200, "{}")).is_ok(); }
bool expires(Reply& reply) { return reply.expire(); }

TEST(ReplyRaces, OfTwoSendsOneIsTaken) { race(sends, sends, false); }

TEST(ReplyRaces, OfASendAndTheDeadlineOneIsFirst) { race(expires, sends, true); }

TEST(ReplyRaces, EndOnceWhateverComesTogether) {
  for (int round = 0; round < 500; ++round) {
    std::atomic<int> ends{0}, taken{0};
    Reply reply({}, [&](const Reply::End&) { ++ends; });
    std::latch all(5);
    std::vector<std::thread> threads;
    auto start = [&](std::function<void()> action) {
      threads.emplace_back([&all, action = std::move(action)] {
        all.arrive_and_wait();
        action();
      });
    };
    start([&] { taken += sends(reply); });
    start([&] { taken += sends(reply); });
    start([&] { reply.drop(); });
    start([&] { reply.on_return(Returned::kDone, ""); });
    start([&] { reply.begin(); });
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(ends, 1);
    ASSERT_LE(taken, 1);
    ASSERT_FALSE(reply.expire());
  }
}

}  // namespace
}  // namespace postern::ingest
