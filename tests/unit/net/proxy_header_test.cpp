#include "core/net/proxy_header.h"

#include <Poco/Net/StreamSocketImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "core/net/stream_factory.h"

namespace postern::net {
namespace {

using ::testing::HasSubstr;
using State = ProxyHeader::State;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string v2(int version_and_command, int family, const std::string& body) {
  std::string header = kSignature;
  header += static_cast<char>(version_and_command);
  header += static_cast<char>(family);
  header += static_cast<char>(body.size() >> 8);
  header += static_cast<char>(body.size() & 0xff);
  return header + body;
}
const std::string kFour("\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x67\x01\xbb", 12);  // 192.0.2.1:4711 to 192.0.2.2:443
std::string six(const std::string& source) { return source + std::string(16, '\x20') + std::string("\x12\x67\x01\xbb", 4); }

struct Good {
  std::string header, source;
};
std::vector<Good> good_ones() {
  const std::string tlv("\x04\x00\x03zzz", 6);
  return {
      {"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", "192.0.2.1"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"},
      {"PROXY TCP4 0.0.0.0 192.0.2.2 0 0\r\n", "0.0.0.0"},
      {"PROXY TCP6 2001:DB8::1 2001:db8::2 4711 443\r\n", "2001:db8::1"},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n", "192.0.2.1"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", ""},
      {v2(0x21, 0x11, kFour), "192.0.2.1"},
      {v2(0x21, 0x11, kFour + tlv), "192.0.2.1"},
      {v2(0x21, 0x11, kFour + std::string(ProxyHeader::kMaxBody - 12, 'x')), "192.0.2.1"},
      {v2(0x21, 0x21, six("\x20\x01\x0d\xb8" + std::string(11, '\0') + "\x01")), "2001:db8::1"},
      {v2(0x21, 0x21, six(std::string(10, '\0') + "\xff\xff\xc0" + std::string(1, '\0') + "\x02\x01")), "192.0.2.1"},
      {v2(0x21, 0x31, std::string(216, 'p')), ""},
      {v2(0x21, 0x00, ""), ""},
      {v2(0x20, 0x00, ""), ""},
      {v2(0x20, 0x11, kFour), ""},  // LOCAL: what it says of addresses is nothing
      {v2(0x20, 0x77, "whatever"), ""},
  };
}

TEST(ProxyHeader, TakesWholeHeadersAndNothingBehindThem) {
  for (const Good& good : good_ones()) {
    for (const std::string& behind : {std::string(), std::string("GET / HTTP/1.1\r\n"), good.header, std::string("\x16\x03\x01", 3)}) {
      ProxyHeader header;
      EXPECT_EQ(header.feed(good.header + behind), good.header.size());
      EXPECT_EQ(header.state(), State::kComplete) << header.why() << ": " << good.header;
      EXPECT_EQ(header.source(), good.source) << good.header;
      EXPECT_EQ(header.feed("more"), 0u);
    }
  }
}

TEST(ProxyHeader, DoesNotDependOnHowItWasCut) {
  for (const Good& good : good_ones()) {
    for (size_t cut = 0; cut < good.header.size(); ++cut) {
      ProxyHeader header;
      EXPECT_EQ(header.feed(std::string_view(good.header).substr(0, cut)), cut);
      EXPECT_EQ(header.state(), State::kIncomplete) << "truncated at " << cut << " of " << good.header;
      EXPECT_EQ(header.feed(good.header.substr(cut) + "X"), good.header.size() - cut);
      EXPECT_EQ(header.state(), State::kComplete);
      EXPECT_EQ(header.source(), good.source);
    }
    ProxyHeader bytewise;
    for (char c : good.header) EXPECT_EQ(bytewise.feed({&c, 1}), 1u);
    EXPECT_EQ(bytewise.state(), State::kComplete);
    EXPECT_EQ(bytewise.source(), good.source);
  }
}

TEST(ProxyHeader, RefusesWithTheFirstByteThatShowsIt) {
  const std::string line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";
  const std::tuple<std::string, size_t, const char*> kCases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 1, "no PROXY header"},
      {"PROXy TCP4", 5, "no PROXY header"},
      {"proxy TCP4", 1, "no PROXY header"},
      {" " + line, 1, "no PROXY header"},
      {"\r\n" + line, 3, "no PROXY header"},
      {kSignature.substr(0, 11) + "X", 12, "no PROXY header"},
      {std::string("\x16\x03\x01\x02", 4), 1, "no PROXY header"},
      {"PROXY TCP4\t192.0.2.1", 11, "control bytes"},
      {std::string("PROXY TCP4 \0", 12), 12, "control bytes"},
      {"PROXY UNKNOWN\rX", 15, "control bytes"},
      {"PROXY UNKNOWN\n", 14, "without a CR"},
      {"PROXY UNKNOWN " + std::string(200, 'x'), ProxyHeader::kMaxLine, "too long"},
      {kSignature + "\x11", 16, "another version"},
      {kSignature + "\x31", 16, "another version"},
      {kSignature + "\x22", 16, "command"},
      {kSignature + "\x2f", 16, "command"},
      {kSignature + std::string("\x21\x11\x08\x01", 4), 16, "too long"},
      {kSignature + std::string("\x21\x11\xff\xff", 4), 16, "too long"},
  };
  for (const auto& [bytes, at, why] : kCases) {
    ProxyHeader header;
    EXPECT_EQ(header.feed(bytes + std::string(300, '\x11')), at) << bytes;
    EXPECT_EQ(header.state(), State::kMalformed) << bytes;
    EXPECT_THAT(header.why(), HasSubstr(why)) << bytes;
    EXPECT_EQ(header.source(), "");
  }
}

TEST(ProxyHeader, RefusesLinesThatAreNotExact) {
  for (const char* rest : {
           "", "TCP4", "TCP4 ", "TCP4 192.0.2.1", "TCP4 192.0.2.1 192.0.2.2", "TCP4 192.0.2.1 192.0.2.2 1",
           "TCP4 192.0.2.1 192.0.2.2 1 ", "TCP4  192.0.2.1 192.0.2.2 1 2", "TCP4 192.0.2.1 192.0.2.2 1 2 ", "TCP4 192.0.2.1 192.0.2.2 1 2 3",
           "TCP4 192.0.2.1 192.0.2.2 01 2",
           "TCP4 192.0.2.1 192.0.2.2 1 65536", "TCP4 192.0.2.1 192.0.2.2 1 +2", "TCP4 192.0.2.1 192.0.2.2 -1 2",
           "TCP4 192.0.2.1 192.0.2.2 1 0x2",
           "TCP4 192.0.2.1 192.0.2.2 1 999999", "TCP4 192.0.2.256 192.0.2.2 1 2", "TCP4 192.0.2 192.0.2.2 1 2",
           "TCP4 192.0.2.01 192.0.2.2 1 2",
           "TCP4 ::1 ::1 1 2", "TCP6 192.0.2.1 192.0.2.2 1 2", "TCP6 ::1%lo ::1 1 2", "TCP6 [::1] ::1 1 2", "TCP6 ::1 192.0.2.1 1 2",
           "TCP 192.0.2.1 192.0.2.2 1 2", "tcp4 192.0.2.1 192.0.2.2 1 2", "UDP4 192.0.2.1 192.0.2.2 1 2", "UNKNOWNX", "unknown",
       }) {
    ProxyHeader header;
    header.feed("PROXY " + std::string(rest) + "\r\n");
    EXPECT_EQ(header.state(), State::kMalformed) << rest;
  }
}

TEST(ProxyHeader, RefusesBinaryHeadersTooShortForTheirAddresses) {
  for (const std::string& header : {v2(0x21, 0x11, ""), v2(0x21, 0x11, kFour.substr(1)), v2(0x21, 0x21, kFour),
                                    v2(0x21, 0x21, std::string(35, 'x')), v2(0x21, 0x31, std::string(215, 'x'))}) {
    ProxyHeader read;
    read.feed(header);
    EXPECT_EQ(read.state(), State::kMalformed);
    EXPECT_THAT(read.why(), HasSubstr("too short"));
  }
  for (int family : {0x12, 0x22, 0x32, 0x10, 0x41, 0xff, 0x01}) {
    ProxyHeader read;
    read.feed(v2(0x21, family, std::string(216, 'x')));
    EXPECT_EQ(read.state(), State::kMalformed) << family;
  }
}

// ---- on a socket

struct Proxied {
  explicit Proxied(bool trusted = true) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    client = fds[1];
    StreamFactory factory;
    factory.is_trusted_proxy = [this, trusted](const std::string& peer) {
      asked = peer;
      return trusted;
    };
    factory.count_client = [this](const std::string& client) {
      counted.push_back(client);
      return token;
    };
    factory.on_bad_start = [this](BadStart how) { bad_starts.push_back(how); };
    stream = factory.make(Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(fds[0])));
  }
  ~Proxied() { ::close(client); }
  void send(std::string_view bytes) const {
    EXPECT_EQ(::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  Stream::Outcome read() {
    char bytes[1024];
    auto [outcome, size] = stream->read(bytes, sizeof bytes);
    got.assign(bytes, outcome == Stream::Outcome::kDone ? size : 0);
    return outcome;
  }
  int client = -1;
  std::string asked, got;
  std::vector<std::string> counted;
  std::vector<BadStart> bad_starts;
  std::shared_ptr<void> token = std::make_shared<int>();  // null: nobody has room
  std::unique_ptr<Stream> stream;
};

TEST(ProxyStream, IsTheClientsOnceTheHeaderWasRead) {
  for (const Good& good : good_ones()) {
    Proxied proxied;
    EXPECT_EQ(proxied.asked, "unix");
    for (size_t i = 0; i < good.header.size(); ++i) {
      EXPECT_EQ(proxied.read(), Stream::Outcome::kWouldBlock);
      EXPECT_EQ(proxied.stream->read_events(), static_cast<uint32_t>(EPOLLIN));
      proxied.send(good.header.substr(i, 1));
    }
    EXPECT_EQ(proxied.read(), Stream::Outcome::kWouldBlock);
    EXPECT_EQ(proxied.stream->peer(), good.source.empty() ? "unknown" : good.source);
    proxied.send("GET");
    EXPECT_EQ(proxied.read(), Stream::Outcome::kDone);
    EXPECT_EQ(proxied.got, "GET");
    EXPECT_EQ(proxied.stream->write("200", 3).bytes, 3u);
  }
}

TEST(ProxyStream, WhatComesWithTheHeaderIsTheNextStreams) {
  Proxied proxied;
  proxied.send("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nPROXY TCP4 192.0.2.9 192.0.2.2 4711 443\r\n");
  EXPECT_EQ(proxied.read(), Stream::Outcome::kDone);
  EXPECT_EQ(proxied.got, "PROXY TCP4 192.0.2.9 192.0.2.2 4711 443\r\n");
  EXPECT_EQ(proxied.stream->peer(), "192.0.2.1");
}

TEST(ProxyStream, ClosesWithoutAGoodHeader) {
  const std::string kBad[] = {"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 x\r\n", kSignature + "\x31\x11\x11\x11"};
  for (const std::string& bytes : kBad) {
    Proxied proxied;
    proxied.send(bytes);
    EXPECT_EQ(proxied.read(), Stream::Outcome::kClosed);
    EXPECT_EQ(proxied.stream->write("HTTP/1.1 400", 12).outcome, Stream::Outcome::kClosed);
    EXPECT_THAT(proxied.bad_starts, ::testing::ElementsAre(BadStart::kProxyHeader));
  }
  Proxied ended;
  ended.send("PROXY TCP4 192.0.2.1");
  ::shutdown(ended.client, SHUT_WR);
  EXPECT_EQ(ended.read(), Stream::Outcome::kClosed);
  EXPECT_EQ(ended.stream->peer(), "unix");
}

TEST(ProxyStream, TheClientThatIsNamedIsCounted) {
  Proxied proxied;
  std::weak_ptr<void> token = proxied.token;
  proxied.send("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET");
  EXPECT_EQ(proxied.read(), Stream::Outcome::kDone);
  EXPECT_THAT(proxied.counted, ::testing::ElementsAre("192.0.2.1"));
  proxied.token.reset();
  EXPECT_FALSE(token.expired()) << "as long as the connection";
  proxied.stream.reset();
  EXPECT_TRUE(token.expired());

  Proxied unknown;
  unknown.token.reset();
  unknown.send("PROXY UNKNOWN\r\nGET");
  EXPECT_EQ(unknown.read(), Stream::Outcome::kDone);
  EXPECT_TRUE(unknown.counted.empty());
}

TEST(ProxyStream, AClientWithTooManyConnectionsIsClosed) {
  Proxied proxied;
  proxied.token.reset();
  proxied.send("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET");
  EXPECT_EQ(proxied.read(), Stream::Outcome::kClosed);
  EXPECT_TRUE(proxied.got.empty());
}

TEST(ProxyStream, NobodyElseMayConnect) {
  Proxied stranger(false);
  EXPECT_EQ(stranger.stream, nullptr);
  EXPECT_THAT(stranger.bad_starts, ::testing::ElementsAre(BadStart::kUntrustedProxy));
}

}  // namespace
}  // namespace postern::net
