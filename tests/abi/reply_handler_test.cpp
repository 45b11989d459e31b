// Reply handlers that misbehave: each request has one end, and what comes after it is too late.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "core/ingest/reply.h"
#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using ingest::Reply;

const std::string kOk = "0", kInvalid = "-1", kLimit = "-5", kGone = "-6";

class ReplyHandler : public ::testing::Test {
 protected:
  // How a reply ended: "answered BODY", or why not; "open" as long as it has not.
  struct Asked {
    std::shared_ptr<Reply> reply;
    std::shared_ptr<std::string> end = std::make_shared<std::string>("open");
    std::shared_ptr<int> ends = std::make_shared<int>(0);
  };

  void SetUp() override {
    made_ = make("replies", "");
    ASSERT_NE(made_.instance, nullptr) << made_.error;
    ASSERT_TRUE(made_.instance->activate());
  }
  const ingest::Route& route(const std::string& path) {
    for (const ingest::Route& r : made_.instance->registrations().routes) {
      if (r.path == path) return r;
    }
    throw std::runtime_error("no route " + path);
  }
  static Asked asked(const std::string& path, const std::string& headers = "") {
    Asked a;
    Reply::Asked request;
    request.request = http::Request::from_parts("POST", path, headers, "the body");
    a.reply = std::make_shared<Reply>(std::move(request), [end = a.end, ends = a.ends](Reply::End e) {
      ++*ends;
      *end = e.response ? "answered " + e.response->body : e.why;
    });
    return a;
  }
  // Runs the handler as a thread of the plugin does.
  Asked run(const std::string& path) {
    Asked a = asked(path);
    route(path).reply(a.reply);
    EXPECT_LE(*a.ends, 1) << path;
    return a;
  }
  std::string end_of(const std::string& path) { return *run(path).end; }
  // What the host has answered the module, one status after the other.
  std::string told() { return end_of("/told").substr(std::string("answered ").size()); }

  Made made_;
};

TEST_F(ReplyHandler, ThatBehaves) {
  EXPECT_EQ(end_of("/well"), "answered fine");
  EXPECT_EQ(end_of("/answers_from_a_thread"), "answered from a thread");
  EXPECT_EQ(told(), kOk);
}

TEST_F(ReplyHandler, ThatThrowsHasFailed) {
  EXPECT_EQ(end_of("/throws"), "exception: index 7 of 3");
  EXPECT_EQ(end_of("/throws_int"), "exception of an unknown type");
  EXPECT_EQ(end_of("/well"), "answered fine") << "the next one is served";
}

TEST_F(ReplyHandler, ThatReturnsWithoutAnAnswerHasFailed) {
  EXPECT_EQ(end_of("/no_answer"), "the handler returned without an answer");
  EXPECT_EQ(end_of("/pending_only"), "the handler returned pending without detach()");
  EXPECT_EQ(end_of("/unknown_status"), "the plugin returned the unknown status 4711");
  EXPECT_EQ(end_of("/retry"), "the plugin returned the unknown status 2");
  EXPECT_EQ(end_of("/fails"), "the account is closed");
}

TEST_F(ReplyHandler, ThatAnswersTwiceIsToldThatItIsTooLate) {
  EXPECT_EQ(end_of("/answers_twice"), "answered first");
  EXPECT_EQ(told(), kOk + " " + kGone + " " + kGone) << "send, send again, detach";
  EXPECT_EQ(end_of("/answers_and_throws"), "answered first") << "the client has its answer";
}

TEST_F(ReplyHandler, HasItsHandleOnlyUntilItReturns) {
  std::weak_ptr<Reply> weak = run("/keeps").reply;
  EXPECT_TRUE(weak.expired()) << "the host keeps nothing for it";
  EXPECT_EQ(end_of("/sends_kept"), "answered done");
  EXPECT_EQ(told(), kGone + " " + kGone + " " + kGone);
}

TEST_F(ReplyHandler, ThatDropsCannotSendAnyMore) {
  EXPECT_EQ(end_of("/drops_then_sends"), "the plugin dropped the reply");
  EXPECT_EQ(told(), kGone);
}

TEST_F(ReplyHandler, ThatDetachesAnswersLater) {
  Asked a = run("/detaches");
  EXPECT_EQ(*a.end, "open");
  EXPECT_EQ(end_of("/sends_kept"), "answered done");
  EXPECT_EQ(*a.end, "answered late");
  EXPECT_EQ(*a.ends, 1);
  EXPECT_EQ(told(), kOk + " " + kOk + " " + kGone + " " + kGone) << "detach, send, send again, send after drop";
  std::weak_ptr<Reply> weak = a.reply;
  a.reply.reset();
  EXPECT_TRUE(weak.expired());
}

TEST_F(ReplyHandler, ThatDetachesAndNeverSendsIsLateAtItsDeadline) {
  Asked a = run("/detaches");
  EXPECT_EQ(*a.end, "open");
  EXPECT_TRUE(a.reply->expire()) << "the host's deadline";
  EXPECT_EQ(end_of("/sends_kept"), "answered done");
  EXPECT_EQ(told(), kOk + " " + kGone + " " + kGone + " " + kGone);
  EXPECT_EQ(*a.ends, 0) << "whoever let it expire has answered";
}

TEST_F(ReplyHandler, ThatThrowsAfterItDetachedMayStillAnswer) {
  Asked a = run("/detaches_and_throws");
  EXPECT_EQ(*a.end, "open");
  EXPECT_EQ(end_of("/sends_kept"), "answered done");
  EXPECT_EQ(*a.end, "answered late");
  told();
}

TEST_F(ReplyHandler, ThatIsSlowIsToldThatItIsTooLate) {
  int gate = ::eventfd(0, EFD_CLOEXEC);
  ASSERT_GE(gate, 0);
  Asked a = asked("/slow", "x-gate: " + std::to_string(gate) + "\r\n");
  std::thread thread([&] { route("/slow").reply(a.reply); });
  EXPECT_TRUE(a.reply->expire()) << "the deadline, while the handler is inside";
  EXPECT_EQ(end_of("/well"), "answered fine") << "another thread of the plugin works meanwhile";
  ASSERT_EQ(::eventfd_write(gate, 1), 0);
  thread.join();
  EXPECT_EQ(*a.end, "open");
  EXPECT_EQ(told(), kGone + " " + kGone) << "detach, send: and the request could still be read";
  // The same gate, open now: in time.
  Asked in_time = asked("/slow", "x-gate: " + std::to_string(gate) + "\r\n");
  route("/slow").reply(in_time.reply);
  EXPECT_EQ(*in_time.end, "answered the body");
  told();
  ::close(gate);
}

TEST_F(ReplyHandler, CannotAnswerWhatIsNoAnswer) {
  EXPECT_EQ(end_of("/senseless_answers"), "answered ");
  EXPECT_EQ(told(), kInvalid + " " + kInvalid + " " + kInvalid + " " + kInvalid + " "  // statuses
                        + kInvalid + " " + kInvalid + " " + kInvalid + " "             // headers
                        + kLimit + " " + kLimit + " "                                  // bodies
                        + kGone + " " + kOk);                                          // no handle; the body {NULL, 0}
}

// What the plugin still holds outlives the instance, and does no harm.
TEST_F(ReplyHandler, LeavesAReplyThatOutlivesThePlugin) {
  Asked a = run("/detaches");
  made_.instance->deactivate(0);
  made_.instance.reset();
  EXPECT_EQ(*a.end, "open");
  EXPECT_TRUE(a.reply->expire());
  EXPECT_EQ(*a.ends, 0);
}

}  // namespace
}  // namespace postern::testing
