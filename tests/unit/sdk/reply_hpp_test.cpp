// Reply routes in the C++ wrapper: what a handler sees, and every way in which a reply ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "scripted.h"

namespace {

using postern::Exchange;
using postern::PendingReply;
using postern::Response;
using postern::testing::Replied;
using postern::testing::Request;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class ReplyHpp : public postern::testing::ScriptedTest {
 protected:
  Replied ask() { return host->reply({.target = "/r"}); }
  // What the handler made of a reply that the host answered itself.
  void expect_failed(const Replied& replied, uint32_t status, postern_status returned, const char* error) {
    EXPECT_EQ(replied.status, status);
    EXPECT_EQ(replied.returned, returned);
    EXPECT_THAT(replied.error, HasSubstr(error));
    EXPECT_FALSE(replied.sent);
    EXPECT_EQ(replied.body, "");
  }
};

TEST_F(ReplyHpp, DeclarationsArrive) {
  auto started = start([](postern::Setup& setup, std::string_view) {
    setup.reply({.method = "GET",
                 .path = "/r/{id}",
                 .type_from = "form:Status",
                 .required = "form:CallSid, path:id",
                 .without_signature = true,
                 .deadline = std::chrono::seconds(3),
                 .recorded = true},
                [](Exchange&) { return Response{}; });
  });
  ASSERT_TRUE(started.ok()) << started.error;
  const auto& route = host->routes().at(1);
  EXPECT_EQ(route.kind, static_cast<uint32_t>(POSTERN_ROUTE_REPLY));
  EXPECT_EQ(route.method, "GET");
  EXPECT_EQ(route.type_from, "form:Status");
  EXPECT_EQ(route.deadline_ms, 3000u);
  EXPECT_EQ(route.flags, static_cast<uint32_t>(POSTERN_ROUTE_UNSIGNED | POSTERN_ROUTE_RECORDED));
  EXPECT_TRUE(route.has_handler);
}

TEST_F(ReplyHpp, AResponseIsSent) {
  start_reply([](Exchange&) -> Response {
    return {.status = 201, .body = "<a/>", .content_type = "text/xml", .headers = {{"X-A", "1"}, {"x-a", "2"}}};
  });
  Replied replied = ask();
  EXPECT_EQ(replied.status, 201u);
  EXPECT_EQ(replied.body, "<a/>");
  EXPECT_THAT(replied.headers, ElementsAre(Pair("Content-Type", "text/xml"), Pair("X-A", "1"), Pair("x-a", "2")));
  EXPECT_EQ(replied.header("content-type"), "text/xml");
  EXPECT_EQ(replied.returned, POSTERN_OK);
  EXPECT_TRUE(replied.sent);
  EXPECT_FALSE(replied.detached);
  EXPECT_EQ(replied.error, "");
  EXPECT_EQ(host->reply({.target = "/member?a"}).body, "member of /member?a");
  EXPECT_EQ(host->reply({.target = "/r/x"}).status, 404u);
  EXPECT_EQ(host->reply({.method = "PUT", .target = "/r"}).status, 404u);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, TheHostFramesTheMessage) {
  start_reply([](Exchange&) -> Response {
    return {.body = "abc", .content_type = "", .headers = {{"content-length", "1"}, {"Connection", "close"}, {"A", ""}}};
  });
  EXPECT_THAT(ask().headers, ElementsAre(Pair("A", "")));
}

TEST_F(ReplyHpp, ExceptionsAreAnswered500) {
  int n = 0;
  start_reply([&n](Exchange&) -> Response {
    if (n == 0) throw std::runtime_error("no line");
    if (n == 1) throw postern::Error(POSTERN_E_TIMEOUT, "no answer");
    throw 7;
  });
  expect_failed(ask(), 500, POSTERN_E_INTERNAL, "no line");
  n = 1;
  expect_failed(ask(), 500, POSTERN_E_TIMEOUT, "no answer");
  n = 2;
  expect_failed(ask(), 500, POSTERN_E_INTERNAL, "unknown exception");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, NothingReturnedAndNothingDetachedIsAnswered500) {
  start_reply([](Exchange&) {});
  expect_failed(ask(), 500, POSTERN_E_STATE, "without a response");
  start_reply([](Exchange&) { return std::optional<Response>(); });
  expect_failed(ask(), 500, POSTERN_E_STATE, "without a response");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, ARefusedResponseIsAnswered500) {
  Response given;
  start_reply([&given](Exchange&) { return given; });
  for (const Response& broken :
       {Response{.status = 199}, Response{.status = 600}, Response{.content_type = "a\r\nX-Injected: 1"},
        Response{.headers = {{"no token", "a"}}}, Response{.headers = {{"", "a"}}},
        Response{.headers = {{"a", std::string("\0", 1)}}}}) {
    given = broken;
    expect_failed(ask(), 500, POSTERN_E_INVALID, "send");
  }
  given = {.body = std::string((4 << 20) - 1, 'x'), .content_type = "", .headers = {{"a", "b"}}};
  expect_failed(ask(), 500, POSTERN_E_LIMIT, "bound");
  given = {.status = 599, .body = std::string((4 << 20) - 2, 'x'), .content_type = "", .headers = {{"a", "b"}}};
  EXPECT_EQ(ask().status, 599u);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, ADetachedReplyIsSentFromAnotherThread) {
  std::promise<PendingReply> given;
  start_reply([&given](Exchange& exchange) { given.set_value(exchange.detach()); });
  Replied replied = ask();
  EXPECT_EQ(replied.status, 0u);
  EXPECT_EQ(replied.returned, POSTERN_PENDING);
  EXPECT_TRUE(replied.detached);
  EXPECT_EQ(host->await_reply(replied.reply, std::chrono::milliseconds(0)).status, 0u);
  std::jthread other([pending = given.get_future().get()]() mutable {
    EXPECT_EQ(pending.request().target(), "/r");
    EXPECT_TRUE(pending.send({.body = "later"}));
    EXPECT_FALSE(pending);
    EXPECT_FALSE(pending.send({.body = "twice"}));
    EXPECT_THROW(static_cast<void>(pending.request()), postern::Error);
  });
  replied = host->await_reply(replied.reply);
  EXPECT_EQ(replied.status, 200u);
  EXPECT_EQ(replied.body, "later");
  EXPECT_TRUE(replied.sent);
  other.join();
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, ADetachedReplyMayBeSentBeforeTheHandlerReturns) {
  start_reply([](Exchange& exchange) -> Response {
    PendingReply pending = exchange.detach();
    EXPECT_TRUE(exchange.detached());
    std::thread([&] { EXPECT_TRUE(pending.send({.status = 202})); }).join();
    return {.body = "this one is dropped"};
  });
  Replied replied = ask();
  EXPECT_EQ(replied.status, 202u);
  EXPECT_EQ(replied.body, "");
  EXPECT_EQ(replied.returned, POSTERN_PENDING);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, ARefusedResponseLeavesThePendingReplyToBeSent) {
  start_reply([](Exchange& exchange) {
    PendingReply pending = exchange.detach();
    EXPECT_THROW(pending.send({.status = 42}), postern::Error);
    EXPECT_TRUE(pending);
    EXPECT_EQ(pending.request().target(), "/r");
    EXPECT_TRUE(pending.send({.body = "well"}));
  });
  EXPECT_EQ(ask().body, "well");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, APendingReplyThatIsDroppedIsAnswered500) {
  start_reply([](Exchange& exchange) { static_cast<void>(exchange.detach()); });
  expect_failed(ask(), 500, POSTERN_PENDING, "dropped");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, AnAssignmentDropsWhatWasHeld) {
  std::optional<PendingReply> kept;
  start_reply([&kept](Exchange& exchange) {
    PendingReply pending = exchange.detach();
    if (!kept) {
      kept.emplace(std::move(pending));
    } else {
      *kept = std::move(pending);
    }
    EXPECT_FALSE(pending);  // NOLINT(bugprone-use-after-move): what is left of it is defined
    EXPECT_FALSE(pending.send({}));
  });
  Replied first = ask(), second = ask();
  expect_failed(host->await_reply(first.reply), 500, POSTERN_PENDING, "dropped");
  kept->drop();
  kept->drop();
  expect_failed(host->await_reply(second.reply), 500, POSTERN_PENDING, "dropped");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, AnExceptionAfterDetachIsLoggedAndThePendingReplyDecides) {
  std::optional<PendingReply> kept;
  start_reply([&kept](Exchange& exchange) {
    kept = exchange.detach();
    EXPECT_THROW(static_cast<void>(exchange.detach()), postern::Error);
    throw std::runtime_error("afterwards");
  });
  Replied replied = ask();
  EXPECT_EQ(replied.status, 0u);
  EXPECT_EQ(replied.returned, POSTERN_PENDING);
  EXPECT_THAT(host->log().at(0).text, HasSubstr("afterwards"));
  EXPECT_TRUE(kept->send({.body = "decided"}));
  EXPECT_EQ(host->await_reply(replied.reply).body, "decided");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, WhatComesAfterTheDeadlineIsTooLate) {
  std::vector<PendingReply> kept;
  start_reply([&kept](Exchange& exchange) { kept.push_back(exchange.detach()); });
  Replied sent = ask(), dropped = ask();
  host->expire_reply(sent.reply);
  host->expire_reply(dropped.reply);
  EXPECT_EQ(kept[0].request().target(), "/r");  // views live until it is sent or dropped, however late
  EXPECT_FALSE(kept[0].send({.body = "late"}));
  kept[1].drop();
  expect_failed(host->await_reply(sent.reply), 504, POSTERN_PENDING, "deadline");
  expect_failed(host->await_reply(dropped.reply), 504, POSTERN_PENDING, "deadline");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, TheDeadlineMayPassWhileTheHandlerRuns) {
  bool detaches = false;
  start_reply([&](Exchange& exchange) -> Response {
    host->expire_reply(detaches ? 2 : 1);
    if (detaches) static_cast<void>(exchange.detach());
    return {.body = "late"};
  });
  expect_failed(ask(), 504, POSTERN_OK, "deadline");
  detaches = true;
  Replied replied = ask();
  expect_failed(replied, 504, POSTERN_E_GONE, "deadline");
  EXPECT_FALSE(replied.detached);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, WhatComesAfterDeactivationIsTooLate) {
  std::optional<PendingReply> kept;
  start_reply([&kept](Exchange& exchange) { kept = exchange.detach(); });
  Replied replied = ask();
  host->stop();
  EXPECT_TRUE(script_.destroyed);
  EXPECT_EQ(kept->request().target(), "/r");
  EXPECT_FALSE(kept->send({.body = "late"}));
  EXPECT_EQ(host->await_reply(replied.reply).status, 503u);
  EXPECT_EQ(ask().status, 503u);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(ReplyHpp, TooManyDetachedRepliesAreAnsweredAtOnceOrFail) {
  std::optional<PendingReply> kept;
  start_reply(
      [&kept](Exchange& exchange) -> std::optional<Response> {
        try {
          kept = exchange.detach();
        } catch (const postern::Error& error) {
          EXPECT_EQ(error.status(), POSTERN_E_LIMIT);
          EXPECT_FALSE(exchange.detached());
          return Response{.status = 503};
        }
        return std::nullopt;
      },
      {.max_detached = 1});
  EXPECT_EQ(ask().status, 0u);
  EXPECT_EQ(ask().status, 503u);
  EXPECT_TRUE(kept->send({}));
  EXPECT_EQ(ask().status, 0u);  // there is room again
  kept->drop();
  EXPECT_THAT(host->misuses(), IsEmpty());
}

}  // namespace
