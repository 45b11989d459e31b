// The tests' own tools: signatures against published vectors, the client against bytes of our own making.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/process.h"
#include "tests/support/signing.h"
#include "tests/support/wire_client.h"

namespace postern::testing {
namespace {

constexpr const char* kLegacyBody =
    R"({"id":"EVexample1","object":"event","apiVersion":"v3","type":"message.received",)"
    R"("data":{"object":{"id":"ACexample1","body":"STOP"}}})";

TEST(SigningTest, Rfc4231Case2) {
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(SigningTest, StandardWebhooksPublicVector) {
  const Headers headers = sign_standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                        "1614265330", R"({"test": 2432232314})");
  EXPECT_EQ(headers[2].second, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(SigningTest, LegacyExample) {
  const Headers headers = sign_legacy("R2ZLM2o0bFhBNVpyUnU2NG9mYXQ1MHNyR3pvSUhIVVg=", "1750861210000", kLegacyBody);
  EXPECT_EQ(headers[0].second, "hmac;1;1750861210000;ncmEGDiKPX5t2gfdcPdpmSKNFK6T3SwFWyBPR5ZXZHU=");
}

TEST(SigningTest, OwnExample) {
  EXPECT_EQ(sign_own("own-secret", "1750861210", kLegacyBody)[0].second,
            "fd982a9f25b9a3b14be0e6b8e8621a5369e82413eecbc1f47c0c93dac782b4e8");
}

TEST(SigningTest, Rfc2202Case2) {
  EXPECT_EQ(hex(hmac_sha1("Jefe", "what do ya want for nothing?")), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

// The vectors that the official helper libraries are tested with.
TEST(SigningTest, TwilioPublicVectors) {
  const std::string url = "https://mycompany.com/myapp.php?foo=1&bar=2";
  EXPECT_EQ(twilio_signature("12345", url,
                             {{"To", "+18005551212"},
                              {"CallSid", "CA1234567890ABCDE"},
                              {"Caller", "+14158675309"},
                              {"Digits", "1234"},
                              {"From", "+14158675309"}}),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
  EXPECT_EQ(
      twilio_signature(
          "12345", url,
          {{"Sid", "CA123"}, {"SidAccount", "AC123"}, {"Digits", "5678"}, {"Digits", "1234"}, {"Digits", "1234"}}),
      "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
  EXPECT_EQ(
      twilio_signature("12345", url + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"),
      "a9nBmqA0ju/hNViExpshrM61xv4=");
}

// From the facts: of "Reason" and "ReasonConferenceEnded" the names are sorted, not the names with their values;
// capitals come first.
TEST(SigningTest, TwilioSortsNames) {
  const std::string expected =
      base64(hmac_sha1("t", "https://h/CALLSID1CallSid2ReasonzReasonConferenceEndedacallSid3"));
  EXPECT_EQ(
      twilio_signature(
          "t", "https://h/",
          {{"callSid", "3"}, {"ReasonConferenceEnded", "a"}, {"CallSid", "2"}, {"Reason", "z"}, {"CALLSID", "1"}}),
      expected);
}

TEST(SigningTest, FormsAreEncoded) {
  EXPECT_EQ(form_body({{"a b", "+1"}, {"c", ""}, {"c", "\xC3\xA9&="}}), "a+b=%2b1&c=&c=%c3%a9%26%3d");
}

TEST(SigningTest, Base64IsReversible) {
  for (size_t size : {1, 2, 3, 32}) {
    const std::string bytes = random_bytes(size);
    EXPECT_EQ(from_base64(base64(bytes)), bytes);
  }
  EXPECT_EQ(from_base64("?"), std::nullopt);
}

TEST(ProcessTest, TellsStatusAndOutput) {
  const Finished finished = run("sh", {"-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(finished.exit.code, 7);
  EXPECT_EQ(finished.out, "out\n");
  EXPECT_EQ(finished.err, "err\n");
}

TEST(ProcessTest, KillsWhatTakesTooLong) { EXPECT_EQ(run("sleep", {"100"}, milliseconds(50)).exit.signal, 9); }

TEST(ProcessTest, WaitsForALine) {
  Process process({"sh", {"-c", "echo ready; exec sleep 100"}, {}, "", ""});
  EXPECT_TRUE(process.wait_for_line("ready", milliseconds(10000)));
  EXPECT_FALSE(process.wait_for_line("never", milliseconds(20)));
  EXPECT_TRUE(process.running());
  EXPECT_GT(process.rss(), 0u);
}

TEST(ProcessTest, ThrowsWhenThereIsNoProgram) { EXPECT_THROW(run("/no/such/program", {}), std::runtime_error); }

// Takes one connection, writes `answer` and ends, in order or with a reset.
class OneAnswer {
 public:
  OneAnswer(std::string answer, bool reset) : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, reset, answer = std::move(answer)] {
      const int fd = accept(listener_, nullptr, nullptr);
      char request[64];
      EXPECT_GT(recv(fd, request, sizeof request, 0), 0);
      EXPECT_EQ(::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
      const linger now{1, 0};
      if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      close(fd);
    });
  }
  ~OneAnswer() {
    thread_.join();
    close(listener_);
  }
  uint16_t port() const { return port_; }

 private:
  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST(WireClientTest, ReadsResponsesOneAfterTheOther) {
  const OneAnswer server(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\nhi"
      "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
      false);
  WireClient client = WireClient::tcp("127.0.0.1", server.port());
  ASSERT_TRUE(client.send("x"));
  EXPECT_EQ(client.read_response().value_or(Response{}).status, 100);
  const auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "hi");
  EXPECT_EQ(response->reason, "OK");
  EXPECT_EQ(response->header("x"), "y");
  EXPECT_EQ(client.read_response().value_or(Response{}).status, 404);
  EXPECT_TRUE(client.closes_silently());
  EXPECT_EQ(client.ending(), Ending::kClosed);
}

TEST(WireClientTest, TellsAResetFromAnEnd) {
  const OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", true);
  WireClient client = WireClient::tcp("127.0.0.1", server.port());
  ASSERT_TRUE(client.send("x"));
  EXPECT_FALSE(client.read_response()) << "it is cut off";
  EXPECT_EQ(client.ending(), Ending::kReset);
}

TEST(WireClientTest, ThrowsWhenNobodyListens) {
  EXPECT_THROW(WireClient::tcp("127.0.0.1", 1), std::runtime_error);
  EXPECT_THROW(WireClient::unix_socket("/no/such/socket"), std::runtime_error);
}

}  // namespace
}  // namespace postern::testing
