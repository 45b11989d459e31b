// Answers that a plugin composes: what reaches the client, and what becomes of a plugin that answers wrongly, late or
// not at all. What probe does at each path: tests/integration/probe/replies.cpp.
#include <gmock/gmock.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"
#include "tests/support/write_lock.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr milliseconds kSoon{10000};

void expect_retry_later(const std::optional<Response>& response) {
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 503) << response->body;
  EXPECT_THAT(response->header("Retry-After").value_or(""), MatchesRegex("[1-9][0-9]*"));
}

// "/probe" answers within the default deadline, "/quick" within 300 ms.
class ReplyRoutesTest : public OpenphoneTest {
 protected:
  GatewayOptions options() const override {
    return {.plugins = probe_entry() + probe_at("quick", "/quick", "deadline: 300ms")};
  }

  // Whatever a plugin did before: it answers, and so does another one.
  void TearDown() override {
    EXPECT_EQ(ask("/probe/reply/echo").body, "hello");
    const std::string id = new_event_id();
    EXPECT_EQ(status_of(gateway().post_signed(id, message_body(id))), "queued");
    OpenphoneTest::TearDown();
  }

  Response ask(const std::string& path, const Headers& headers = {}, const std::string& body = "hello") {
    return gateway().request("POST", path, headers, body);
  }
  // Waits until the host has said `said` to all answers of {what}, or of the calls with a file: "0 -6 ".
  bool host_said(const std::string& prefix, const std::string& what_or_file, const std::string& said) {
    return eventually(kSoon, [&] { return ask(prefix + "/reply/notes", {{"x-of", what_or_file}}).body == said; });
  }
  int64_t events_with(const std::string& id) {
    return gateway().store().number("SELECT count(*) FROM event WHERE external_id = ?", {id});
  }
};

TEST_F(ReplyRoutesTest, TheAnswerIsThePlugins) {
  const std::string body("a\0b\xff\r\n\r\n", 8);
  const Response response =
      ask("/probe/reply/any%20thing%C3%A9", {{"x-status", "418"}, {"x-type", "text/x-own; a=b"}}, body);
  EXPECT_EQ(response.status, 418);
  EXPECT_EQ(response.header("Content-Type"), "text/x-own; a=b");
  EXPECT_EQ(response.header("X-What"), "any thing\xC3\xA9") << "the path's parameter, decoded";
  EXPECT_EQ(response.header("Content-Length"), std::to_string(body.size()));
  EXPECT_EQ(response.body, body);
}

TEST_F(ReplyRoutesTest, AnswersKeepTheConnectionAndTheirOrder) {
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += reply_request(i % 2 == 0 ? "/probe/reply/detached" : "/probe/reply/echo", "", std::to_string(i));
  }
  WireClient client = gateway().connect();
  client.send(all);
  for (int i = 0; i < 20; ++i) {
    const auto response = client.read_response();
    ASSERT_TRUE(response) << i;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, std::to_string(i));
  }
}

// What went wrong is for the operator's log; a client would learn of files, keys and versions.
TEST_F(ReplyRoutesTest, FailuresTellNothingOfTheInside) {
  std::string body;
  for (const std::string what : {"throws", "fails", "never", "pending", "bad_status", "drops"}) {
    const Response response = ask("/probe/reply/" + what);
    EXPECT_EQ(response.status, 500) << what;
    if (body.empty()) body = response.body;
    EXPECT_EQ(response.body, body) << what << ": one text for all";
    EXPECT_TRUE(json_of(response).contains("error")) << response.body;
    EXPECT_THAT(response.body, Not(HasSubstr("inner"))) << what;
  }
  EXPECT_TRUE(gateway().logs("inner detail")) << "the operator is told";
  EXPECT_TRUE(gateway().logs("the handler returned without an answer"));
}

TEST_F(ReplyRoutesTest, TheSecondAnswerIsTooLate) {
  const Response response = ask("/probe/reply/twice");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "the first");
  EXPECT_TRUE(host_said("/probe", "twice", "0 -6 "));
}

// Nothing that is no answer gets out, and none of it is the end of the reply.
TEST_F(ReplyRoutesTest, BadAnswersAreRefusedOneByOne) {
  WireClient client = gateway().connect();
  client.send(reply_request("/probe/reply/mends") + reply_request("/probe/reply/echo"));
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "mended");
  EXPECT_FALSE(response->header("Set-Cookie"));
  EXPECT_EQ(client.read_response().value_or(Response{}).body, "hello") << "something else is in the stream";
  std::string refused;
  for (int i = 0; i < 11; ++i) refused += "-1 ";
  EXPECT_TRUE(host_said("/probe", "mends", refused + "-5 0 "));
}

TEST_F(ReplyRoutesTest, DetachedRepliesAreAnsweredLater) {
  const Response response = ask("/probe/reply/detached", {}, "from a thread");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "from a thread");
}

// Forty at once: no thread is held by any of them.
TEST_F(ReplyRoutesTest, DetachedRepliesHoldNoThread) {
  std::vector<Barrier> barriers;
  std::vector<WireClient> clients;
  for (int i = 0; i < 40; ++i) {
    barriers.emplace_back(gateway(), "forty" + std::to_string(i));
    clients.push_back(gateway().connect());
    clients.back().send(reply_request("/probe/reply/detached_blocks", barriers.back().file()));
  }
  for (const auto& barrier : barriers) EXPECT_TRUE(barrier.reached()) << barrier.file();
  EXPECT_EQ(ask("/probe/reply/echo").status, 200);
  for (const auto& barrier : barriers) barrier.open();
  for (auto& client : clients) EXPECT_EQ(client.read_response().value_or(Response{}).body, "at last");
}

TEST_F(ReplyRoutesTest, DeadlinesAreKept) {
  const Barrier barrier(gateway(), "deadlines");
  for (const std::string what : {"blocks", "detached_blocks", "detached_never"}) {
    const auto begin = Clock::now();
    const Response response = ask("/quick/reply/" + what, {{"x-file", barrier.file()}});
    const auto took = Clock::now() - begin;
    EXPECT_EQ(response.status, 504) << what;
    EXPECT_TRUE(json_of(response).contains("error")) << response.body;
    EXPECT_GE(took, milliseconds(290)) << what;
    EXPECT_LT(took, milliseconds(3000)) << what;
  }
  barrier.open();
  EXPECT_TRUE(host_said("/quick", barrier.file(), "-6 -6 ")) << "their answers came too late";
  EXPECT_EQ(ask("/quick/reply/echo").status, 200);
}

TEST_F(ReplyRoutesTest, AClientThatLeftHarmsNobody) {
  for (const std::string what : {"blocks", "detached_blocks"}) {
    const Barrier aborted(gateway(), "aborted_" + what), closed(gateway(), "closed_" + what);
    WireClient one = gateway().connect(), other = gateway().connect();
    one.send(reply_request("/probe/reply/" + what, aborted.file()));
    other.send(reply_request("/probe/reply/" + what, closed.file()));
    ASSERT_TRUE(aborted.reached() && closed.reached());
    one.abort();
    other.close();
    EXPECT_EQ(ask("/probe/reply/echo").status, 200);
    aborted.open();
    closed.open();
    EXPECT_TRUE(host_said("/probe", aborted.file(), "0 ")) << "to the plugin an answer is an answer";
    EXPECT_TRUE(host_said("/probe", closed.file(), "0 "));
  }
}

TEST_F(ReplyRoutesTest, RecordedOnesAreStoredOnceAndAnsweredEachTime) {
  for (int i = 0; i < 3; ++i) {
    const Response response = ask("/probe/recorded/echo", {{"x-id", "one"}}, "{\"id\":\"one\"}");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "{\"id\":\"one\"}") << "the plugin's answer, not that it was a duplicate";
    EXPECT_EQ(events_with("one"), 1);
  }
  EXPECT_EQ(ask("/probe/recorded/detached", {{"x-id", "two"}}).status, 200);
  EXPECT_EQ(events_with("two"), 1);
  EXPECT_EQ(ask("/probe/reply/echo", {{"x-id", "none"}}).status, 200);
  EXPECT_EQ(events_with("none"), 0);
}

// The order itself, not who wins a race: while nobody can write to the store, there is no answer.
TEST_F(ReplyRoutesTest, TheEventIsDurableBeforeTheAnswer) {
  WireClient recorded = gateway().connect();
  {
    const WriteLock lock(gateway().store_path());
    recorded.send(request_text("POST", "/probe/recorded/slow", {{"x-id", "slow"}}, "{}"));
    EXPECT_EQ(ask("/probe/reply/echo").status, 200) << "what is not recorded waits for nothing";
    EXPECT_TRUE(host_said("/probe", "slow", "0 ")) << "the plugin has composed it";
    EXPECT_FALSE(recorded.read_response(milliseconds(300))) << "answered before it was stored";
    EXPECT_EQ(events_with("slow"), 0);
  }
  EXPECT_EQ(recorded.read_response().value_or(Response{}).status, 200);
  EXPECT_EQ(events_with("slow"), 1);
}

TEST(ReplyStoreTest, ABacklogThatIsFullStopsOnlyWhatIsRecorded) {
  Gateway gateway({.dispatch = "max_backlog: 3, retry: {base: 10m}", .plugins = probe_entry()});
  int status = 0;
  for (int i = 0; i < 50 && status != 503; ++i) {
    WireClient client = gateway.connect();
    client.send(probe_request(std::to_string(i), "retry"));
    status = client.read_response().value_or(Response{}).status;
  }
  ASSERT_EQ(status, 503) << "the backlog never fills up";
  const int64_t before = gateway.store().events();
  expect_retry_later(gateway.request("POST", "/probe/recorded/echo", {{"x-id", "a"}}, "hello"));
  EXPECT_EQ(gateway.request("POST", "/probe/reply/echo", {}, "hello").body, "hello");
  EXPECT_EQ(gateway.store().events(), before);
}

// The store's file goes away: nothing that was to be recorded is answered as if it were, and what waits for its answer
// gets it.
TEST(ReplyStoreTest, AStoreThatWasRemoved) {
  Gateway gateway({.plugins = probe_entry()});
  const Barrier barrier(gateway, "unrecorded");
  WireClient unrecorded = gateway.connect();
  unrecorded.send(reply_request("/probe/reply/blocks", barrier.file()));
  ASSERT_TRUE(barrier.reached());
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(gateway.store_path() + ending);

  expect_retry_later(gateway.request("POST", "/probe/recorded/echo", {{"x-id", "a"}}, "hello"));
  barrier.open();
  EXPECT_EQ(unrecorded.read_response().value_or(Response{}).body, "at last");
  const auto exit = gateway.process().wait(kSoon);
  ASSERT_TRUE(exit) << gateway.log();
  EXPECT_EQ(exit->code, 74) << gateway.log();
}

}  // namespace
}  // namespace postern::testing
