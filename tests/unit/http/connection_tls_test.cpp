// Connections over TLS: a loop that waits for the right thing, and an OpenSSL client that is as slow or as wrong as it can be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/net/stream_factory.h"
#include "tests/support/tls_material.h"
#include "tests/unit/http/connection_harness.h"

namespace postern::http::testing {
namespace {

using postern::testing::TlsMaterial;

// TLS over a Client's socket, which blocks for at most ten seconds.
class TlsClient {
 public:
  explicit TlsClient(std::unique_ptr<Client> below, int max_version = TLS1_3_VERSION) : below_(std::move(below)) {
    context_ = {SSL_CTX_new(TLS_client_method()), &SSL_CTX_free};
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    SSL_CTX_set_mode(context_.get(), SSL_MODE_AUTO_RETRY);
    ssl_ = {SSL_new(context_.get()), &SSL_free};
    SSL_set_fd(ssl_.get(), below_->fd());
    SSL_set_connect_state(ssl_.get());
  }
  bool shake_hands() { return SSL_do_handshake(ssl_.get()) == 1; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      size_t n = 0;
      if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n) != 1) return false;
      bytes.remove_prefix(n);
    }
    return true;
  }
  Client::Answer read_answer() {
    Client::Answer answer;
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return answer;
    }
    answer.head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    size_t at = answer.head.find("Content-Length: ");
    size_t length = at == std::string::npos ? 0 : std::stoul(answer.head.substr(at + 16));
    while (buffer_.size() < length) {
      if (!read_more()) return answer;
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    answer.status = std::stoi(answer.head.substr(9, 3));
    return answer;
  }
  // Nothing more came before a close_notify.
  bool at_orderly_end() {
    char byte;
    ERR_clear_error();
    int n = SSL_read(ssl_.get(), &byte, 1);
    return buffer_.empty() && n <= 0 && SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN;
  }
  void notify_close() { SSL_shutdown(ssl_.get()); }
  SSL* ssl() { return ssl_.get(); }
  Client& below() { return *below_; }

 private:
  bool read_more() {
    char bytes[64 * 1024];
    int n = SSL_read(ssl_.get(), bytes, sizeof bytes);
    if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }
  std::unique_ptr<Client> below_;
  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
  std::string buffer_;
};

std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"; }
std::string post(const std::string& body, const std::string& headers = "") {
  return "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

class ConnectionTlsTest : public ConnectionTest {
 protected:
  void SetUp() override {
    ConnectionTest::SetUp();
    net::TlsSettings settings;
    auto pair = material_.pair(material_.authority("authority"), "server", "DNS:h");
    settings.identities.push_back({std::move(*net::load_chain(pair.certificate)), std::move(*net::load_key(pair.key))});
    settings.tickets = std::make_shared<net::TicketKeys>();
    factory_.tls = *net::TlsContext::make(settings);
    make_stream_ = [this](Poco::Net::StreamSocket socket) { return factory_.make(std::move(socket)); };
  }
  void take_bodies() {
    on_loop([this] {
      service_.request = [](const std::shared_ptr<Exchange>& exchange) {
        exchange->respond(Response::json(200, std::to_string(exchange->request.body().size())));
      };
    });
  }
  static void shrink_buffers(int fd) {
    int small = 4096;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }

  TlsMaterial material_;
  net::StreamFactory factory_;
};

TEST_F(ConnectionTlsTest, AnswersAndLivesOn) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(connect_tcp(), version);
    ASSERT_TRUE(client.shake_hands());
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(client.send(get("/" + std::to_string(i))));
      EXPECT_EQ(client.read_answer().body, "/" + std::to_string(i));
    }
  }
}

// Many requests in one record, and many records at once: what OpenSSL holds must not be forgotten when the socket has no more.
TEST_F(ConnectionTlsTest, LosesNothingThatOpenSslHolds) {
  constexpr int kCount = 20'000;  // more than four reads of 64 KiB
  for (bool later : {false, true}) {
    if (later) answer_later();
    TlsClient client(connect());
    ASSERT_TRUE(client.shake_hands());
    int read = 0;
    std::string all;
    for (int i = 0; i < kCount; ++i) all += get("/" + std::to_string(i));
    // One thread for a connection of OpenSSL: send in pieces that the other side can take, and read their answers.
    for (size_t at = 0; at < all.size(); at += 30'000) {
      ASSERT_TRUE(client.send(std::string_view(all).substr(at, 30'000)));
      int sent = static_cast<int>(std::count(all.begin(), all.begin() + static_cast<long>(std::min(all.size(), at + 30'000)), 'G'));
      for (; read < sent - 1; ++read) ASSERT_EQ(client.read_answer().body, "/" + std::to_string(read));
    }
    for (; read < kCount; ++read) ASSERT_EQ(client.read_answer().body, "/" + std::to_string(read));
  }
}

// Small records, all in the socket before the loop looks: more than it reads in one turn.
TEST_F(ConnectionTlsTest, ReadsOnAfterATurnsWorth) {
  take_bodies();
  TlsClient client(connect());
  int large = 4 << 20;
  ::setsockopt(client.below().fd(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
  ASSERT_TRUE(client.shake_hands());
  std::promise<void> go;
  loop_.post([future = go.get_future().share()] { future.wait(); });
  ASSERT_TRUE(client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n"));
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(client.send(std::string(1000, 'x')));
  go.set_value();
  EXPECT_EQ(client.read_answer().body, "150000");
}

TEST_F(ConnectionTlsTest, LargeBodiesBothWaysThroughSmallBuffers) {
  const std::string large(900'000, 'x');  // of the budget of all requests, one alone gets half
  on_loop([&] {
    service_.head = [](Exchange&, const Request&) { return Service::Admission{false, {}, 64 << 20}; };
    service_.request = [&](const std::shared_ptr<Exchange>& exchange) {
      exchange->respond(Response::json(200, std::string(exchange->request.body())));
    };
  });
  make_stream_ = [this](Poco::Net::StreamSocket socket) {
    shrink_buffers(socket.impl()->sockfd());
    return factory_.make(std::move(socket));
  };
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(connect(), version);  // not TCP, whose windows close for 200 ms when a buffer is smaller than a segment
    shrink_buffers(client.below().fd());
    ASSERT_TRUE(client.shake_hands());
    ASSERT_TRUE(client.send(post(large)));
    Client::Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == large);
    ASSERT_TRUE(client.send(get("/after")));
    EXPECT_EQ(client.read_answer().status, 200);
  }
}

TEST_F(ConnectionTlsTest, TakesAHandshakeAndARequestByteByByte) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto below = connect();
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
    SSL_CTX_set_max_proto_version(context.get(), version);
    std::shared_ptr<SSL> ssl(SSL_new(context.get()), &SSL_free);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
    auto send_out = [&] {
      char byte;
      while (BIO_read(out, &byte, 1) == 1) ASSERT_EQ(below->send({&byte, 1}), 1u);
    };
    auto take_in = [&] {
      char bytes[4096];
      ssize_t n = ::recv(below->fd(), bytes, sizeof bytes, 0);
      ASSERT_GT(n, 0);
      BIO_write(in, bytes, static_cast<int>(n));
    };
    while (SSL_do_handshake(ssl.get()) != 1) {
      send_out();
      take_in();
    }
    const std::string request = get("/slowly");
    for (char c : request) {
      ASSERT_EQ(SSL_write(ssl.get(), &c, 1), 1);
      send_out();
    }
    char answer[4096];
    int n;
    while ((n = SSL_read(ssl.get(), answer, sizeof answer)) <= 0) take_in();
    EXPECT_THAT(std::string(answer, static_cast<size_t>(n)), ::testing::HasSubstr("/slowly"));
  }
}

TEST_F(ConnectionTlsTest, ClosesOnWhatIsNoHandshake) {
  const std::string kGarbage[] = {get("/plain"), std::string(5, '\0'), "\x16\x03\x01\xff\xff", std::string(2000, 'x'),
                                  std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10), "SSH-2.0-x\r\n",
                                  std::string("\x15\x03\x03\x00\x02\x02\x28", 7)};
  for (const std::string& bytes : kGarbage) {
    auto client = connect_tcp();
    client->send(bytes);
    EXPECT_TRUE(all_closed_within(milliseconds(5000))) << bytes;
    EXPECT_THAT(client->read_all(), ::testing::Not(::testing::HasSubstr("HTTP/")));
  }
}

TEST_F(ConnectionTlsTest, AHandshakeHasTheTimeOfAHead) {
  timeouts_.head = 150;
  auto silent = connect();
  auto begun = connect();
  begun->send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  EXPECT_EQ(service_.malformed.size(), 0u);
  // A dribble moves the deadline neither in the handshake nor from it to the head.
  TlsClient dribbler(connect());
  ASSERT_TRUE(dribbler.shake_hands());
  const auto begun_at = Clock::now();
  while (Clock::now() - begun_at < std::chrono::seconds(5) && dribbler.send("G")) {
    if (dribbler.below().readable_within(20)) break;
  }
  EXPECT_LT(Clock::now() - begun_at, std::chrono::seconds(3));
}

TEST_F(ConnectionTlsTest, APartOfARequestIsNone) {
  for (bool notify : {false, true}) {
    bool asked = false;
    on_loop([&] {
      service_.request = [&](const std::shared_ptr<Exchange>& exchange) {
        asked = true;
        exchange->respond(Response::json(200, "{}"));
      };
    });
    TlsClient client(connect_tcp());
    ASSERT_TRUE(client.shake_hands());
    std::string whole = post("0123456789");
    ASSERT_TRUE(client.send(whole.substr(0, whole.size() - 1)));
    if (notify) client.notify_close();
    client.below().half_close();
    EXPECT_TRUE(all_closed_within(milliseconds(5000)));
    EXPECT_FALSE(asked);
  }
}

TEST_F(ConnectionTlsTest, AnswersWhoHasClosedItsSide) {
  for (bool notify : {false, true}) {
    answer_later();
    TlsClient client(connect_tcp());
    ASSERT_TRUE(client.shake_hands());
    ASSERT_TRUE(client.send(get("/one") + get("/two")));
    if (notify) client.notify_close();
    if (!notify) client.below().half_close();
    EXPECT_EQ(client.read_answer().body, "/one");
    EXPECT_EQ(client.read_answer().body, "/two");
    EXPECT_TRUE(client.at_orderly_end());
  }
}

TEST_F(ConnectionTlsTest, EndsWithACloseNotify) {
  TlsClient client(connect_tcp());
  ASSERT_TRUE(client.shake_hands());
  ASSERT_TRUE(client.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(client.read_answer().body, "/last");
  EXPECT_TRUE(client.at_orderly_end());
}

// The answer is there although the body was never read.
TEST_F(ConnectionTlsTest, RefusesEarlyAndLingers) {
  on_loop([&] {
    service_.head = [](Exchange&, const Request&) { return Service::Admission{true, Response::error(413, "too large"), 0}; };
  });
  TlsClient client(connect_tcp());
  ASSERT_TRUE(client.shake_hands());
  ASSERT_TRUE(client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n"));
  ASSERT_TRUE(client.send(std::string(500'000, 'x')));
  EXPECT_EQ(client.read_answer().status, 413);
  EXPECT_TRUE(client.at_orderly_end());
}

TEST_F(ConnectionTlsTest, SaysContinue) {
  take_bodies();
  TlsClient client(connect_tcp());
  ASSERT_TRUE(client.shake_hands());
  ASSERT_TRUE(client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.read_answer().status, 100);
  ASSERT_TRUE(client.send("abc"));
  EXPECT_EQ(client.read_answer().body, "3");
}

// A write to a connection that was reset must neither raise SIGPIPE nor hold anything.
TEST_F(ConnectionTlsTest, OutlivesAReset) {
  keep_requests();
  for (int i = 0; i < 20; ++i) {
    TlsClient client(connect_tcp());
    ASSERT_TRUE(client.shake_hands());
    ASSERT_TRUE(client.send(get("/x")));
    wait_for_request();
    std::promise<void> go;
    loop_.post([future = go.get_future().share()] { future.wait(); });
    client.below().reset();
    loop_.post([&] {
      auto kept = std::move(kept_);
      kept_.clear();
      for (auto& exchange : kept) exchange->respond(Response::json(200, std::string(1 << 20, 'x')));
    });
    go.set_value();
    EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  }
}

// A read that must write first: the client wants new keys while it takes no answers.
TEST_F(ConnectionTlsTest, ReadsOnWhenKeysChangeAndNothingCanBeWritten) {
  make_stream_ = [this](Poco::Net::StreamSocket socket) {
    shrink_buffers(socket.impl()->sockfd());
    return factory_.make(std::move(socket));
  };
  keep_requests();
  TlsClient client(connect());
  shrink_buffers(client.below().fd());
  ASSERT_TRUE(client.shake_hands());
  ASSERT_TRUE(client.send(get("/large")));
  wait_for_request();
  answer_kept(Response::json(200, std::string(1 << 20, 'x')));  // blocks on the way
  ASSERT_EQ(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  ASSERT_TRUE(client.send(get("/next")));
  EXPECT_EQ(client.read_answer().body.size(), size_t{1} << 20);
  wait_for_request();
  answer_kept(Response::json(200, "{}"));
  EXPECT_EQ(client.read_answer().body, "{}");
}

// New certificates are for new connections.
TEST_F(ConnectionTlsTest, GoesOnWithTheCertificateThatItBeganWith) {
  auto subject = [](TlsClient& client) {
    char text[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(client.ssl())), NID_commonName, text, sizeof text);
    return std::string(text);
  };
  TlsClient before(connect_tcp());
  ASSERT_TRUE(before.shake_hands());
  auto half_way = connect();  // its handshake comes after the change
  net::TlsSettings settings;
  auto pair = material_.pair(material_.authority("authority"), "renewed", "DNS:h");
  settings.identities.push_back({std::move(*net::load_chain(pair.certificate)), std::move(*net::load_key(pair.key))});
  on_loop([&] { factory_.tls = *net::TlsContext::make(settings); });
  TlsClient after(connect_tcp()), begun(std::move(half_way));
  ASSERT_TRUE(after.shake_hands());
  ASSERT_TRUE(begun.shake_hands());
  EXPECT_EQ(subject(before), "server");
  EXPECT_EQ(subject(begun), "server");
  EXPECT_EQ(subject(after), "renewed");
  for (TlsClient* client : {&before, &begun, &after}) {
    ASSERT_TRUE(client->send(get("/x")));
    EXPECT_EQ(client->read_answer().status, 200);
  }
}

TEST_F(ConnectionTlsTest, APortThatWantsAProxyHeaderTakesItBeforeTheHandshake) {
  on_loop([this] {
    service_.request = [](const std::shared_ptr<Exchange>& exchange) { exchange->respond(Response::json(200, exchange->peer)); };
  });
  factory_.is_trusted_proxy = [](const std::string& peer) { return peer == "127.0.0.1"; };
  auto below = connect_tcp();
  below->send("PROXY TCP4 192.0.2.7 192.0.2.2 4711 443\r\n");
  TlsClient client(std::move(below));
  ASSERT_TRUE(client.shake_hands());
  ASSERT_TRUE(client.send(get("/x")));
  EXPECT_EQ(client.read_answer().body, "192.0.2.7");
  TlsClient without(connect_tcp());
  EXPECT_FALSE(without.shake_hands());
}

}  // namespace
}  // namespace postern::http::testing
