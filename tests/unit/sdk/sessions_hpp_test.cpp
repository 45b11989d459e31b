// WebSocket sessions, as the C++ wrapper and the fake host have them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scripted.h"

namespace {

using postern::Handshake;
using postern::MessageKind;
using postern::Response;
using postern::Session;
using postern::SessionEnd;
using postern::testing::Replied;
using postern::testing::SessionView;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Notes = std::vector<std::string>;

// Notes what it hears, and echoes texts.
class Noting final : public postern::SessionHandler {
 public:
  explicit Noting(Notes& notes) : notes_(notes) {}
  ~Noting() override { notes_.push_back("destroyed"); }
  void opened(Session& session) override {
    notes_.push_back("opened " + std::to_string(session.id()));
    session.arm(std::chrono::milliseconds(50));
  }
  void message(Session& session, MessageKind kind, std::string_view data) override {
    if (data == "throw") throw std::runtime_error("as told");
    notes_.push_back((kind == MessageKind::kText ? "text " : "binary ") + std::string(data));
    session.send("echo " + std::string(data));
    session.send_media("media");
  }
  void writable(Session&) override { notes_.push_back("writable"); }
  void timer(Session&) override { notes_.push_back("timer"); }
  void woken(Session&) override { notes_.push_back("woken"); }
  void ended(Session&, const SessionEnd& end) override {
    notes_.push_back("ended " + std::to_string(end.code) + (end.by_peer ? " by the peer: " : ": ") + std::string(end.reason));
  }

 private:
  Notes& notes_;
};

class SessionsHpp : public postern::testing::ScriptedTest {
 protected:
  ~SessionsHpp() override { host.reset(); }  // whose sessions note their ends
  template <typename F>
  void start_route(F handler, postern::testing::Options options = {}) {
    auto started = start(
        [this, handler](postern::Setup& setup, std::string_view) {
          sessions_ = setup.sessions();
          setup.websocket({.path = "/ws/{what}", .without_signature = true}, handler);
        },
        std::move(options));
    ASSERT_TRUE(started.ok()) << started.error;
  }
  void start_echo() {
    start_route([this](Handshake& handshake) { handshake.accept(std::make_unique<Noting>(notes_), {.max_queued = 9}, "a, b"); });
  }
  Replied ask() { return host->reply({.method = "GET", .target = "/ws/x"}); }

  postern::Sessions sessions_;
  Notes notes_;
};

TEST_F(SessionsHpp, WhomToTrustIsReadInInit) {
  auto started = start([this](postern::Setup& setup, std::string_view) {
    sessions_ = setup.sessions("");
    EXPECT_THROW(setup.sessions("/nowhere/ca.pem"), postern::Error);
  });
  EXPECT_TRUE(started.ok()) << started.error;
}

TEST_F(SessionsHpp, OneThatIsAccepted) {
  start_echo();
  EXPECT_EQ(host->routes()[1].kind, uint32_t{POSTERN_ROUTE_WEBSOCKET});
  EXPECT_EQ(host->routes()[1].method, "GET");
  Replied replied = ask();
  EXPECT_EQ(replied.status, 101u);
  ASSERT_EQ(replied.session, 1u);
  EXPECT_EQ(host->sessions()[0].protocols, "a, b");
  EXPECT_EQ(host->sessions()[0].limits.max_queued, 9u);
  host->open(1);
  host->receive(1, "hello");
  host->receive(1, "bytes", POSTERN_MESSAGE_BINARY);
  auto sent = host->take_sent(1);
  ASSERT_THAT(sent, SizeIs(4));
  EXPECT_EQ(sent[0].data, "echo hello");
  EXPECT_FALSE(sent[0].media);
  EXPECT_TRUE(sent[1].media);
  host->writable(1);
  EXPECT_EQ(host->pass(std::chrono::milliseconds(49)), 0u);
  EXPECT_EQ(host->pass(std::chrono::milliseconds(1)), 1u);
  EXPECT_TRUE(sessions_.wake(1));
  EXPECT_EQ(host->run_wakes(), 1u);
  host->end(1, {.code = 1000, .reason = "bye"});
  EXPECT_THAT(notes_, ElementsAre("opened 1", "text hello", "binary bytes", "writable", "timer", "woken", "ended 1000 by the peer: bye", "destroyed"));
  EXPECT_FALSE(sessions_.wake(1)) << "it has ended";
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(SessionsHpp, OneThatIsRefused) {
  start_route([](Handshake& handshake) -> std::optional<Response> {
    return Response{.status = 403, .body = std::string(handshake.path_parameter("what").value_or(""))};
  });
  Replied replied = ask();
  EXPECT_EQ(replied.status, 403u);
  EXPECT_EQ(replied.body, "x");
  EXPECT_THAT(host->sessions(), IsEmpty());
}

TEST_F(SessionsHpp, AHandlerThatDoesNeither) {
  start_route([](Handshake&) {});
  Replied replied = ask();
  EXPECT_EQ(replied.status, 500u);
  EXPECT_THAT(replied.error, HasSubstr("without accept()"));
}

TEST_F(SessionsHpp, OneTooMany) {
  start_route([this](Handshake& handshake) -> std::optional<Response> {
    try {
      handshake.accept(std::make_unique<Noting>(notes_));
    } catch (const postern::Error& error) {
      return Response{.status = 503, .body = std::to_string(error.status())};
    }
    return std::nullopt;
  }, {.max_sessions = 1});
  EXPECT_EQ(ask().status, 101u);
  EXPECT_EQ(ask().body, std::to_string(POSTERN_E_LIMIT));
  EXPECT_THAT(notes_, ElementsAre("destroyed")) << "the one that was not accepted";
}

TEST_F(SessionsHpp, AFailureClosesTheSession) {
  start_echo();
  ask();
  host->open(1);
  host->receive(1, "throw");
  ASSERT_TRUE(host->sessions()[0].closed);
  EXPECT_EQ(host->sessions()[0].closed->code, 1011u);
  EXPECT_THAT(host->log().back().text, HasSubstr("as told"));
}

TEST_F(SessionsHpp, OneThatIsConnected) {
  start_echo();
  Session made = sessions_.connect({.url = "wss://example.com/x",
                                    .headers = {{"Authorization", "Bearer k"}},
                                    .protocols = "realtime",
                                    .connect = std::chrono::seconds(2),
                                    .limits = {.ping = std::chrono::seconds(1)}},
                                   std::make_unique<Noting>(notes_));
  ASSERT_THAT(host->sessions(), SizeIs(1));
  SessionView view = host->sessions()[0];
  EXPECT_TRUE(view.is_client);
  EXPECT_EQ(view.url, "wss://example.com/x");
  EXPECT_THAT(view.headers, ElementsAre(std::pair<std::string, std::string>("Authorization", "Bearer k")));
  EXPECT_EQ(view.connect_ms, 2000u);
  EXPECT_EQ(view.limits.ping_ms, 1000u);
  EXPECT_FALSE(made.send("too early"));
  sessions_.connect({.url = "ws://h"}, std::make_unique<Noting>(notes_), made);
  EXPECT_EQ(host->sessions()[1].beside, 1u);
  EXPECT_THROW(sessions_.connect({.url = "http://h"}, std::make_unique<Noting>(notes_)), postern::Error);
  host->end(1, {.code = 1006, .by_peer = false, .http_status = 401, .reason = "refused"});
  EXPECT_THAT(notes_, ElementsAre("destroyed", "ended 1006: refused", "destroyed"));
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(SessionsHpp, TheEndOfThePluginEndsThem) {
  start_echo();
  ask();
  host->open(1);
  host->stop();
  EXPECT_THAT(notes_, ElementsAre("opened 1", "ended 1001: the gateway stops", "destroyed"));
  EXPECT_TRUE(script_.destroyed);
}

TEST_F(SessionsHpp, AnOldGatewayHasNone) {
  auto started = start([](postern::Setup& setup, std::string_view) { setup.sessions(); }, {.without = {POSTERN_EXT_WEBSOCKET}});
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(started.error, HasSubstr("postern.websocket/1"));
}

}  // namespace
