// Sessions as a client, to real servers on loopback: plain, with TLS, through a proxy; and every way not to get there.
#include "core/websocket/connector.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <openssl/err.h>

#include "tests/support/tls_material.h"
#include "tests/unit/websocket/session_harness.h"

namespace postern::websocket::testing {
namespace {

using postern::testing::TlsMaterial;
using ::testing::HasSubstr;
using ::testing::Not;

// One end of a connection that waits, with TLS or without.
class Line {
 public:
  explicit Line(int fd) : fd_(fd) {
    timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Line() {
    ssl_.reset();
    ::close(fd_);
  }
  bool begin_tls(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd_);
    return SSL_accept(ssl_.get()) == 1;
  }
  std::string read_some() {
    char bytes[4096];
    const int n = ssl_ ? SSL_read(ssl_.get(), bytes, sizeof bytes) : static_cast<int>(::recv(fd_, bytes, sizeof bytes, 0));
    return n > 0 ? std::string(bytes, static_cast<size_t>(n)) : std::string();
  }
  // Up to the empty line; "" when the other side has gone.
  std::string read_head() {
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
      const std::string more = read_some();
      if (more.empty()) return "";
      head += more;
    }
    return head;
  }
  void write(const std::string& text) {
    if (ssl_) {
      SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    } else {
      [[maybe_unused]] ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    }
  }
  std::string server_name() const {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "" : name;
  }

 private:
  int fd_;
  std::unique_ptr<SSL, net::Freed<SSL_free>> ssl_;
};

std::string switching(const std::string& request) {
  const size_t at = request.find("Sec-WebSocket-Key: ") + 19;
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
         accept_key(request.substr(at, request.find("\r\n", at) - at)) + "\r\n\r\n";
}

// Listens on loopback, and plays `script` with the first that connects.
class Server {
 public:
  explicit Server(std::function<void(Line&)> script) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener_, 8) != 0) throw std::runtime_error("listen");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this, script = std::move(script)] {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      Line line(fd);
      script(line);
    });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string port() const { return std::to_string(port_); }

 private:
  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

void serve_echo(Line& line) {
  const std::string request = line.read_head();
  line.write(switching(request) + put({kText, "welcome"}, false));
  for (std::string bytes;;) {
    const std::string more = line.read_some();
    if (more.empty()) return;
    bytes += more;
    while (auto frame = get(bytes)) {
      if (frame->opcode == kClose) return line.write(put({kClose, frame->payload}, false));
      line.write(put({frame->opcode, "echo " + frame->payload}, false));
    }
  }
}

class ConnectorTest : public ::testing::Test {
 protected:
  void TearDown() override {
    on_loop([this] {
      if (outcome_.session) outcome_.session->abort("the test ends");
      outcome_ = {};
    });
    resolver_.reset();
  }
  void on_loop(const std::function<void()>& task) { thread_.run(task); }
  Destination to(const std::string& url) {
    auto parsed = parse_url(url);
    if (!parsed) throw std::runtime_error(parsed.status().message());
    Destination destination;
    destination.url = *parsed;
    destination.connect_ms = 5'000;
    return destination;
  }
  // The outcome's message; "" with a session.
  std::string connect(Destination destination) {
    std::promise<void> done;
    on_loop([&] {
      Connector::start(loop_, *resolver_, std::move(destination), limits_, notes_, [&](Connector::Outcome outcome) {
        outcome_ = std::move(outcome);
        done.set_value();
      });
    });
    if (done.get_future().wait_for(std::chrono::seconds(10)) != std::future_status::ready) throw std::runtime_error("no outcome");
    return outcome_.status.message();
  }
  void expect_echo() {
    EXPECT_EQ(notes_.next(), "text:welcome");
    on_loop([this] { EXPECT_TRUE(outcome_.session->send(Kind::kText, "hello", Class::kControl)); });
    EXPECT_EQ(notes_.next(), "text:echo hello");
    on_loop([this] { outcome_.session->close(kNormal, "done"); });
    EXPECT_EQ(notes_.next(), "ended");
    EXPECT_EQ(notes_.ending().code, kNormal) << notes_.ending().reason;
  }

  net::testing::LoopThread thread_;
  net::EventLoop& loop_ = thread_.loop();
  std::unique_ptr<net::Resolver> resolver_ = std::make_unique<net::Resolver>([](const std::string& host, uint16_t port) -> Result<net::Addresses> {
    if (host == "a.test") return net::Addresses{{Poco::Net::IPAddress("127.0.0.1"), port}};
    if (host == "two.test") return net::Addresses{{Poco::Net::IPAddress("127.0.0.9"), port}, {Poco::Net::IPAddress("127.0.0.1"), port}};
    return Status(Code::kUnavailable, "the host's name has no address");
  });
  Notes notes_;
  Limits limits_;
  Connector::Outcome outcome_;
};

TEST_F(ConnectorTest, OpensASession) {
  std::string request;
  Server server([&](Line& line) {
    request = line.read_head();
    line.write(switching(request));
  });
  Destination destination = to("ws://127.0.0.1:" + server.port() + "/v1?model=m");
  destination.headers = {{"Authorization", "Bearer x"}};
  EXPECT_EQ(connect(std::move(destination)), "");
  EXPECT_THAT(request, HasSubstr("GET /v1?model=m HTTP/1.1\r\nHost: 127.0.0.1:" + server.port() + "\r\n"));
  EXPECT_THAT(request, HasSubstr("Authorization: Bearer x\r\n"));
  EXPECT_EQ(outcome_.http_status, 101);
}

TEST_F(ConnectorTest, SpeaksBothWaysFromTheFirstByte) {
  Server server(serve_echo);
  EXPECT_EQ(connect(to("ws://a.test:" + server.port())), "");
  expect_echo();
}

TEST_F(ConnectorTest, TriesTheNextAddress) {
  Server server(serve_echo);
  EXPECT_EQ(connect(to("ws://two.test:" + server.port())), "");
  expect_echo();
}

TEST_F(ConnectorTest, TellsWhyItDidNotGetThere) {
  EXPECT_THAT(connect(to("ws://nowhere.test/")), HasSubstr("no address"));
  std::string port;
  {
    Server closed([](Line&) {});
    port = closed.port();
  }
  EXPECT_THAT(connect(to("ws://127.0.0.1:" + port)), HasSubstr("refused"));
  {
    Server rude([](Line& line) { line.read_head(); });
    EXPECT_THAT(connect(to("ws://127.0.0.1:" + rude.port())), HasSubstr("ended before its handshake"));
  }
  {
    Server wary([](Line& line) {
      line.read_head();
      line.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    });
    EXPECT_THAT(connect(to("ws://127.0.0.1:" + wary.port())), HasSubstr("401"));
    EXPECT_EQ(outcome_.http_status, 401);
  }
  Server wrong([](Line& line) {
    line.read_head();
    line.write(switching("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"));
  });
  EXPECT_THAT(connect(to("ws://127.0.0.1:" + wrong.port())), HasSubstr("Sec-WebSocket-Accept"));
}

TEST_F(ConnectorTest, HasOneDeadlineForAllOfIt) {
  std::promise<void> over;
  Server silent([&](Line& line) {
    line.read_head();
    over.get_future().wait();
  });
  Destination destination = to("ws://127.0.0.1:" + silent.port());
  destination.connect_ms = 200;
  EXPECT_EQ(connect(std::move(destination)), "no handshake in time");
  over.set_value();
}

TEST_F(ConnectorTest, IsSilentOnceItIsCancelled) {
  std::promise<void> asked, over;
  Server silent([&](Line& line) {
    EXPECT_FALSE(line.read_head().empty());
    asked.set_value();
    EXPECT_TRUE(line.read_some().empty()) << "the connection is closed";
    over.set_value();
  });
  std::shared_ptr<Connector> connector;
  on_loop([&] {
    connector = Connector::start(loop_, *resolver_, to("ws://127.0.0.1:" + silent.port()), limits_, notes_,
                                 [](Connector::Outcome) { ADD_FAILURE() << "cancelled"; });
  });
  ASSERT_EQ(asked.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  on_loop([&] {
    connector->cancel();
    connector->cancel();
    connector.reset();
  });
  EXPECT_EQ(over.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

// ---- through a proxy

TEST_F(ConnectorTest, GoesThroughAProxy) {
  std::string asked;
  Server proxy([&](Line& line) {
    asked = line.read_head();
    line.write("HTTP/1.1 200 Connection established\r\n\r\n");
    serve_echo(line);
  });
  Destination destination = to("ws://inner.test/x");
  destination.proxy = *parse_proxy("http://user:pass@a.test:" + proxy.port());
  EXPECT_EQ(connect(std::move(destination)), "");
  EXPECT_EQ(asked, "CONNECT inner.test:80 HTTP/1.1\r\nHost: inner.test:80\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
  expect_echo();
}

TEST_F(ConnectorTest, TellsWhatTheProxySaid) {
  for (const auto& [answer, told] : {std::pair("HTTP/1.1 407 Who are you\r\n\r\n", "the proxy answered 407"), std::pair("SSH-2.0\r\n\r\n", "does not speak HTTP"),
                                     std::pair("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101", "bytes of its own")}) {
    Server proxy([&, answer = std::string(answer)](Line& line) {
      line.read_head();
      line.write(answer);
      line.read_some();
    });
    Destination destination = to("ws://inner.test/x");
    destination.proxy = *parse_proxy("http://127.0.0.1:" + proxy.port());
    EXPECT_THAT(connect(std::move(destination)), HasSubstr(told));
  }
}

// ---- TLS

class SecureConnectorTest : public ConnectorTest {
 protected:
  std::function<void(Line&)> secure(const TlsMaterial::Pair& pair, const std::function<void(Line&)>& script) {
    context_.reset(SSL_CTX_new(TLS_server_method()));
    EXPECT_EQ(SSL_CTX_use_certificate_file(context_.get(), pair.certificate.c_str(), SSL_FILETYPE_PEM), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context_.get(), pair.key.c_str(), SSL_FILETYPE_PEM), 1);
    return [this, script](Line& line) {
      shook_hands_ = line.begin_tls(context_.get());
      ERR_clear_error();
      if (shook_hands_) script(line);
    };
  }
  std::string connect_secure(const std::string& url, const std::string& ca) {
    Destination destination = to(url);
    auto trust = net::TlsClient::make(ca);
    EXPECT_TRUE(trust) << trust.status().message();
    destination.trust = *trust;
    return connect(std::move(destination));
  }

  TlsMaterial material_;
  TlsMaterial::Authority authority_ = material_.authority("authority");
  TlsMaterial::Pair pair_ = material_.pair(authority_, "server", "DNS:a.test,IP:127.0.0.1");
  std::unique_ptr<SSL_CTX, net::Freed<SSL_CTX_free>> context_;
  bool shook_hands_ = false;
};

TEST_F(SecureConnectorTest, SpeaksToWhomItBelieves) {
  std::string named;
  Server server(secure(pair_, [&](Line& line) {
    named = line.server_name();
    serve_echo(line);
  }));
  EXPECT_EQ(connect_secure("wss://a.test:" + server.port() + "/", authority_.file), "");
  EXPECT_EQ(named, "a.test");
  expect_echo();
}

TEST_F(SecureConnectorTest, ChecksAnAddressToo) {
  Server server(secure(pair_, serve_echo));
  EXPECT_EQ(connect_secure("wss://127.0.0.1:" + server.port() + "/", authority_.file), "");
  expect_echo();
}

TEST_F(SecureConnectorTest, BelievesNobodyElse) {
  const auto other = material_.authority("other");
  const auto unlike = material_.pair(authority_, "unlike", "DNS:b.test");
  const auto stale = material_.pair(authority_, "stale", "DNS:a.test", -60);
  {
    Server server(secure(pair_, serve_echo));
    EXPECT_THAT(connect_secure("wss://a.test:" + server.port(), other.file), HasSubstr("issuer"));
    EXPECT_FALSE(outcome_.session);
  }
  {
    Server server(secure(pair_, serve_echo));
    EXPECT_THAT(connect_secure("wss://a.test:" + server.port(), ""), HasSubstr("TLS: ")) << "the system believes no test";
  }
  {
    Server server(secure(unlike, serve_echo));
    EXPECT_THAT(connect_secure("wss://a.test:" + server.port(), authority_.file), HasSubstr("hostname mismatch"));
  }
  {
    Server server(secure(unlike, serve_echo));
    EXPECT_THAT(connect_secure("wss://127.0.0.1:" + server.port(), authority_.file), HasSubstr("IP address mismatch"));
  }
  Server server(secure(stale, serve_echo));
  EXPECT_THAT(connect_secure("wss://a.test:" + server.port(), authority_.file), HasSubstr("expired"));
}

TEST_F(SecureConnectorTest, NeverFallsBackToPlainText) {
  std::string first;
  Server plain([&](Line& line) {
    first = line.read_some();
    line.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  EXPECT_THAT(connect_secure("wss://a.test:" + plain.port(), authority_.file), HasSubstr("TLS: "));
  EXPECT_EQ(first.substr(0, 1), "\x16") << "a handshake's record";
  EXPECT_THAT(first, Not(HasSubstr("GET")));
}

TEST_F(SecureConnectorTest, GoesThroughAProxyUnseen) {
  std::string seen;
  Server proxy([&](Line& line) {
    seen = line.read_head();
    line.write("HTTP/1.0 200 OK\r\nVia: x\r\n\r\n");
    secure(pair_, serve_echo)(line);
  });
  Destination destination = to("wss://a.test/x");
  destination.trust = *net::TlsClient::make(authority_.file);
  destination.proxy = *parse_proxy("http://127.0.0.1:" + proxy.port() + "/");
  EXPECT_EQ(connect(std::move(destination)), "");
  EXPECT_EQ(seen, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
  expect_echo();
}

// ---- URLs

TEST(Urls, AreTakenApart) {
  auto url = parse_url("wss://api.openai.test/v1/realtime?model=gpt-realtime");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->secure);
  EXPECT_EQ(url->authority, "api.openai.test");
  EXPECT_EQ(url->host, "api.openai.test");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/v1/realtime?model=gpt-realtime");
  url = parse_url("WS://[::1]:8080?a=b");
  ASSERT_TRUE(url);
  EXPECT_FALSE(url->secure);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 8080);
  EXPECT_EQ(url->target, "/?a=b");
  EXPECT_EQ(parse_url("ws://h")->target, "/");
  EXPECT_EQ(parse_url("ws://[2001:db8::1]/")->port, 80);
  for (const char* bad : {"", "http://h/", "ws:/h", "ws://", "ws:///x", "ws://u@h/", "ws://h:0/", "ws://h:99999/", "ws://h/a b", "ws://h/#x", "ws://h/\x01",
                          "ws://h/\xc3\xa9"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
  EXPECT_EQ(parse_proxy("http://proxy.test:3128")->port, 3128);
  EXPECT_EQ(parse_proxy("http://proxy.test")->authorization, "");
  for (const char* bad : {"", "https://p.test", "socks5://p.test", "http://", "http://p.test/x", "p.test:3128"}) EXPECT_FALSE(parse_proxy(bad)) << bad;
}

}  // namespace
}  // namespace postern::websocket::testing
