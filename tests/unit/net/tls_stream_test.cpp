// What one read may cost, whatever the peer sends: a loop has other connections.
#include "core/net/tls_stream.h"

#include <gtest/gtest.h>

#include "tests/unit/net/tls_harness.h"

namespace postern::net::testing {
namespace {

class TlsStreamTest : public ::testing::Test {
 protected:
  // Bytes of one read.
  Stream::Transfer read(Session& session) {
    auto [outcome, size] = session.server().read(bytes_, sizeof bytes_);
    return {outcome, outcome == Stream::Outcome::kDone ? size : 0};
  }
  static void new_keys(Session& session, int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_EQ(SSL_key_update(session.client(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
      ASSERT_EQ(SSL_do_handshake(session.client()), 1);
    }
  }

  TlsMaterial material_;
  TlsMaterial::Authority authority_ = material_.authority("authority");
  TlsMaterial::Pair pair_ = material_.pair(authority_, "first", "DNS:a.test");
  ClientContext client_ = client_context();
  char bytes_[64 * 1024];
};

// Attack: OpenSSL does not come back while records without data come.
TEST_F(TlsStreamTest, EndsAFloodOfNewKeys) {
  Session session(context({pair_}), client_);
  ASSERT_TRUE(session.shake_hands()) << session.failure();
  new_keys(session, 200);
  EXPECT_EQ(read(session).outcome, Stream::Outcome::kClosed);
}

TEST_F(TlsStreamTest, TakesNewKeysBetweenData) {
  Session session(context({pair_}), client_);
  ASSERT_TRUE(session.shake_hands()) << session.failure();
  for (int i = 0; i < 20; ++i) {
    new_keys(session, 10);
    ASSERT_TRUE(session.client_write("x"));
    session.serve();
  }
  EXPECT_EQ(session.received(), std::string(20, 'x'));
}

// Attack: a body in records of a byte.
TEST_F(TlsStreamTest, GivesOthersTheirTurnBetweenSmallRecords) {
  Session session(context({pair_}), client_);
  ASSERT_TRUE(session.shake_hands()) << session.failure();
  constexpr size_t kRecords = 200;
  for (size_t i = 0; i < kRecords; ++i) ASSERT_TRUE(session.client_write("x"));
  size_t reads = 0, got = 0;
  for (; got < kRecords && reads < kRecords; ++reads) {
    auto [outcome, size] = read(session);
    ASSERT_EQ(outcome, Stream::Outcome::kDone) << got;
    EXPECT_LE(size, 64u);
    got += size;
    EXPECT_TRUE(got == kRecords || session.server().has_buffered()) << "nobody would read on";
  }
  EXPECT_EQ(got, kRecords);
}

// Attack: a ClientHello that is announced to be large, of which all but the last byte comes.
TEST_F(TlsStreamTest, TakesNoLargeHandshake) {
  Session session(context({pair_}), client_);
  constexpr size_t kRecord = 16 * 1024;
  size_t sent = 0;
  Stream::Outcome outcome = Stream::Outcome::kWouldBlock;
  for (int i = 0; i < 8 && outcome == Stream::Outcome::kWouldBlock; ++i) {
    std::string record{22, 3, 1, static_cast<char>(kRecord >> 8), static_cast<char>(kRecord & 0xff)};
    std::string part(kRecord, '\0');
    if (i == 0) part.replace(0, 6, std::string{1, 2, 0, 0, 3, 3});  // a ClientHello of 128 KiB, TLS 1.2
    record += part;
    ASSERT_EQ(::send(session.fd(), record.data(), record.size(), MSG_NOSIGNAL), static_cast<ssize_t>(record.size()));
    sent += record.size();
    for (int reads = 0; reads < 4 && outcome == Stream::Outcome::kWouldBlock; ++reads) outcome = read(session).outcome;
  }
  EXPECT_EQ(outcome, Stream::Outcome::kClosed);
  EXPECT_LE(sent, 6 * kRecord) << "what is over 64 KiB is not waited for";
}

}  // namespace
}  // namespace postern::net::testing
