// Sessions over real sockets: messages, bounds, pings, and every way to end.
#include "tests/unit/websocket/session_harness.h"

#include <gmock/gmock.h>

namespace postern::websocket::testing {
namespace {

using ::testing::HasSubstr;

class SessionOfBothRoles : public SessionTest, public ::testing::WithParamInterface<Role> {};

INSTANTIATE_TEST_SUITE_P(Roles, SessionOfBothRoles, ::testing::Values(Role::kServer, Role::kClient), [](const auto& info) {
  return info.param == Role::kServer ? std::string("Server") : std::string("Client");
});

TEST_P(SessionOfBothRoles, CarriesMessagesBothWays) {
  start("", GetParam());
  peer_->send({kText, "Hel", false});
  peer_->send({kContinuation, "lo"});
  peer_->send({kBinary, std::string("\0\1", 2)});
  EXPECT_EQ(notes_.next(), "text:Hello");
  EXPECT_EQ(notes_.next(), "binary:" + std::string("\0\1", 2));
  EXPECT_TRUE(send("back"));
  const Frame frame = peer_->read();
  EXPECT_EQ(frame.payload, "back");
  EXPECT_EQ(*frame.masked, GetParam() == Role::kClient);
}

TEST_P(SessionOfBothRoles, AnswersPings) {
  start("", GetParam());
  peer_->send({kPing, "now"});
  const Frame pong = peer_->read();
  EXPECT_EQ(pong.opcode, kPong);
  EXPECT_EQ(pong.payload, "now");
}

TEST_P(SessionOfBothRoles, IsClosedByThePeer) {
  start("", GetParam());
  peer_->send({kClose, close_payload(4001, "bye")});
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, 4001);
  EXPECT_EQ(notes_.ending().reason, "bye");
  EXPECT_TRUE(notes_.ending().by_peer);
  const Frame answer = peer_->read();
  EXPECT_EQ(answer.opcode, kClose);
  EXPECT_EQ(answer.payload, close_payload(4001)) << "§5.5.1: the code is echoed";
  EXPECT_TRUE(peer_->ends());
  EXPECT_EQ(send("late").code(), Code::kGone);
}

TEST_P(SessionOfBothRoles, IsClosedByUs) {
  start("", GetParam());
  EXPECT_TRUE(send("last words"));
  on_loop([this] {
    session_->close(kGoingAway, "we stop");
    session_->close(kNormal, "again");
  });
  EXPECT_EQ(peer_->read().payload, "last words");
  EXPECT_EQ(peer_->read().payload, close_payload(kGoingAway, "we stop"));
  EXPECT_TRUE(notes_.empty()) << "the peer has not answered";
  peer_->send({kText, "too late"});
  peer_->send({kClose, close_payload(kGoingAway)});
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, kGoingAway);
  EXPECT_FALSE(notes_.ending().by_peer);
  EXPECT_TRUE(peer_->ends());
}

TEST_P(SessionOfBothRoles, IsClosedByBoth) {
  start("", GetParam());
  on_loop([this] { session_->close(kNormal, ""); });
  peer_->send({kClose, close_payload(kGoingAway)});
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(peer_->read().payload, close_payload(kNormal));
  EXPECT_TRUE(peer_->ends());
}

TEST_P(SessionOfBothRoles, IsClosedForWhatBreaksTheRules) {
  start("", GetParam());
  peer_->send({kText, "good"});
  peer_->send({kText, "\xff"});
  EXPECT_EQ(notes_.next(), "text:good");
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, kNotUtf8);
  EXPECT_FALSE(notes_.ending().by_peer);
  EXPECT_EQ(peer_->read().payload.substr(0, 2), close_payload(kNotUtf8));
  EXPECT_TRUE(peer_->ends());
}

// A close with unread bytes would be a reset, which may eat the closing frame.
TEST_P(SessionOfBothRoles, LetsAPeerFinishThatIsClosedForItsFault) {
  start("", GetParam());
  peer_->send({3, "x"});
  EXPECT_EQ(notes_.next(), "ended");
  for (int i = 0; i < 50; ++i) peer_->send({kText, std::string(10'000, 'x')});
  EXPECT_EQ(peer_->read().payload.substr(0, 2), close_payload(kProtocolError));
  peer_->half_close();
  EXPECT_TRUE(peer_->ends());
}

TEST_P(SessionOfBothRoles, IsLostWithoutAClosingHandshake) {
  start("", GetParam());
  peer_->send({kText, "a", false});
  peer_->close();
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, kLost);
}

TEST_P(SessionOfBothRoles, DoesNotWaitForEverForTheClosingHandshake) {
  limits_.close_ms = 100;
  start("", GetParam());
  on_loop([this] { session_->close(kNormal, "done"); });
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, kNormal);
  EXPECT_TRUE(peer_->ends());
}

TEST_P(SessionOfBothRoles, DoesNotLingerForEver) {
  limits_.close_ms = 100;
  start("", GetParam());
  peer_->send({3, "x"});
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_TRUE(peer_->ends());
}

TEST_F(SessionTest, ReadsWhatCameBehindTheHandshake) {
  start(put({kText, "early"}, true) + put({kText, "half"}, true).substr(0, 7));
  peer_->send_raw(put({kText, "half"}, true).substr(7));
  EXPECT_EQ(notes_.next(), "text:early");
  EXPECT_EQ(notes_.next(), "text:half");
}

TEST_F(SessionTest, PingsASilentPeerAndGivesItUp) {
  limits_.ping_ms = 100;
  start();
  EXPECT_EQ(peer_->read().opcode, kPing);
  peer_->send({kPong, ""});
  EXPECT_EQ(peer_->read().opcode, kPing) << "it was there";
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, kLost);
  EXPECT_THAT(notes_.ending().reason, HasSubstr("silent"));
}

TEST_F(SessionTest, GivesUpAPeerThatTakesNothing) {
  limits_.write_ms = 100;
  start("", Role::kServer, 4096);
  on_loop([this] {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(session_->send(Kind::kText, std::string(5'000, 'x'), Class::kMedia));
  });
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_THAT(notes_.ending().reason, HasSubstr("takes nothing"));
}

// What a turn sends goes out in its order, in one piece where it fits.
TEST_F(SessionTest, SendsWhatATurnHasTogether) {
  start();
  on_loop([this] {
    for (int i = 0; i < 5; ++i) static_cast<void>(session_->send(Kind::kText, std::to_string(i), Class::kMedia));
  });
  char bytes[100];
  ssize_t n = ::recv(peer_->fd(), bytes, sizeof bytes, 0);
  EXPECT_EQ(n, 15);
}

TEST_F(SessionTest, DropsTheOldestMediaFirstAndCountsIt) {
  start("", Role::kServer, 4096);
  on_loop([this] { ASSERT_TRUE(session_->send(Kind::kText, "begin", Class::kControl)); });
  EXPECT_EQ(peer_->read().payload, "begin");
  uint64_t dropped = 0;
  on_loop([&] {
    for (int i = 0; i < 200; ++i) {
      EXPECT_TRUE(session_->send(Kind::kText, "media " + std::to_string(i) + std::string(1'000, ' '), Class::kMedia));
      if (i % 50 != 0) continue;
      EXPECT_TRUE(session_->send(Kind::kText, "control " + std::to_string(i), Class::kControl));
    }
    dropped = session_->dropped();
    EXPECT_LE(session_->buffered(), 11'000u);
  });
  EXPECT_GT(dropped, 180u);
  ASSERT_TRUE(send("end"));
  std::vector<std::string> controls;
  int last = -1;
  for (Frame frame = peer_->read(); frame.payload != "end"; frame = peer_->read()) {
    ASSERT_EQ(frame.opcode, kText);
    if (frame.payload.starts_with("control")) {
      controls.push_back(frame.payload);
    } else {
      const int number = std::stoi(frame.payload.substr(6));
      EXPECT_GT(number, last) << "in their order";
      last = number;
    }
  }
  EXPECT_EQ(controls, (std::vector<std::string>{"control 0", "control 50", "control 100", "control 150"}));
  EXPECT_EQ(last, 199) << "the newest is kept";
}

TEST_F(SessionTest, TellsWhenThereIsRoomAgain) {
  start("", Role::kServer, 4096);
  int sent = 0;
  on_loop([&] {
    while (session_->buffered() <= limits_.max_queued / 2) {
      ASSERT_TRUE(session_->send(Kind::kText, std::string(1'000, 'x'), Class::kControl));
      ++sent;
    }
  });
  for (int i = 0; i < sent; ++i) EXPECT_EQ(peer_->read().payload.size(), 1'000u);
  EXPECT_EQ(notes_.next(), "writable");
  EXPECT_TRUE(notes_.empty()) << "once";
}

TEST_F(SessionTest, GivesUpAPeerForWhichTooMuchWaits) {
  start("", Role::kServer, 4096);
  Status status;
  on_loop([&] {
    for (int i = 0; i < 100 && status; ++i) status = session_->send(Kind::kText, std::string(1'000, 'x'), Class::kControl);
  });
  EXPECT_EQ(status.code(), Code::kLimit);
  Frame frame = peer_->read();
  while (frame.opcode == kText) frame = peer_->read();
  EXPECT_EQ(frame.payload.substr(0, 2), close_payload(kTryAgainLater)) << "behind all that was taken";
  peer_->send({kClose, frame.payload});
  EXPECT_EQ(notes_.next(), "ended");
  EXPECT_EQ(notes_.ending().code, kTryAgainLater);
}

// Attack: empty messages to one who answers each, and is not read. They have no bytes, and take memory.
TEST_F(SessionTest, GivesUpAPeerForWhichTooManyEmptyMessagesWait) {
  limits_.max_queued = 64 * 1024;
  start();
  Status last = Status::ok();
  on_loop([this, &last] {
    for (int i = 0; i < 100'000 && last; ++i) last = session_->send(Kind::kText, "", Class::kControl);
  });
  EXPECT_EQ(last.code(), Code::kLimit);
  EXPECT_EQ(session_->is_open(), false);
}

TEST_F(SessionTest, DropsMediaThatIsTooManyAsWell) {
  limits_.max_queued = 64 * 1024;
  start();
  on_loop([this] {
    for (int i = 0; i < 5'000; ++i) EXPECT_TRUE(session_->send(Kind::kText, "", Class::kMedia));
  });
  on_loop([this] { EXPECT_GE(session_->dropped(), 3'000u); });
}

TEST_F(SessionTest, ReadsNothingWhilePaused) {
  start("", Role::kServer, 4096);
  on_loop([this] { session_->pause(); });
  std::thread sender([this] {
    for (int i = 0; i < 100; ++i) peer_->send({kText, std::string(1'000, 'x')});
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(notes_.empty());
  on_loop([this] { session_->resume(); });
  for (int i = 0; i < 100; ++i) EXPECT_EQ(notes_.next(), "text:1000 bytes");
  sender.join();
}

TEST_F(SessionTest, IsNotSilentWhilePaused) {
  limits_.ping_ms = 100;
  start();
  on_loop([this] { session_->pause(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(notes_.empty());
  on_loop([this] { EXPECT_TRUE(session_->is_open()); });
}

TEST_F(SessionTest, MayBeEndedFromInsideItsOwnCalls) {
  for (int how = 0; how < 2; ++how) {
    notes_.message = [&](Session& session, Kind, std::string_view data) {
      notes_.add(std::string(data));
      how == 0 ? session.abort("enough") : session.close(kNormal, "enough");
    };
    start();
    peer_->send_raw(put({kText, "one"}, true) + put({kText, "two"}, true));
    EXPECT_EQ(notes_.next(), "one");
    if (how == 1) peer_->send({kClose, close_payload(kNormal)});
    EXPECT_EQ(notes_.next(), "ended");
    EXPECT_TRUE(peer_->ends());
    on_loop([this] { session_.reset(); });
  }
}

// Attack: pings to which nobody reads the pongs.
TEST_F(SessionTest, KeepsFewPongs) {
  start("", Role::kServer, 4096);
  for (int i = 0; i < 20'000; ++i) peer_->send({kPing, std::string(100, 'p')});
  peer_->send({kText, "through"});
  EXPECT_EQ(notes_.next(), "text:through");
  on_loop([this] { EXPECT_LT(session_->buffered(), 40'000u); });
}

}  // namespace
}  // namespace postern::websocket::testing
