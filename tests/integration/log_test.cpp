// The log: a JSON object on each line, every refusal with its request's id, no secret; and a reader that has stopped
// reading it does not stop the gateway.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::MatchesRegex;

constexpr milliseconds kSoon{10000};

std::vector<nlohmann::json> lines_of(const std::string& log) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(log);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_TRUE(lines.back().is_object()) << line;
  }
  return lines;
}

bool tells_of(const Gateway& gateway, int status, const std::string& request_id) {
  return eventually(kSoon, [&] {
    const auto lines = lines_of(gateway.log());
    return std::any_of(lines.begin(), lines.end(), [&](const auto& line) {
      return line.is_object() && line.value("status", 0) == status && line.value("request_id", "") == request_id;
    });
  });
}

TEST(LogTest, EveryLineIsJson) {
  Gateway gateway({.gateway = "  log_level: trace\n"});
  const std::string id = new_event_id();
  gateway.post_signed(id, message_body(id, "CN1", "\xff\xfe \\u0000 \\n"));
  gateway.post({}, message_body(id));
  gateway.request("GET", "/\"quoted\\%00%0a");
  WireClient garbage = gateway.connect();
  garbage.send("\x01\x02 \"\\\n\x80\r\n\r\n");
  garbage.read_until_close();
  garbage.close();
  ASSERT_EQ(gateway.stop().code, 0);
  const auto lines = lines_of(gateway.log());
  EXPECT_GE(lines.size(), 5u);
  for (const auto& line : lines) {
    ASSERT_TRUE(line.is_object());
    EXPECT_THAT(line.value("time", ""), MatchesRegex("20..-..-..T..:..:...*Z")) << line;
    EXPECT_THAT(line.value("level", ""), MatchesRegex("trace|debug|info|warn|error")) << line;
    EXPECT_NE(line.value("message", ""), "") << line;
    EXPECT_NE(line.value("request_id", ""), "") << line;
  }
}

TEST(LogTest, RefusalsCarryTheirRequestsId) {
  Gateway gateway;
  const Response no_route = gateway.request("GET", "/nope");
  ASSERT_EQ(no_route.status, 404);
  const Response forged = gateway.post({}, message_body("EV1"));
  ASSERT_EQ(forged.status, 401);
  WireClient client = gateway.connect();
  client.send("GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const auto framing = client.read_response();
  ASSERT_TRUE(framing);
  ASSERT_EQ(framing->status, 400);
  for (const Response& response : {no_route, forged, *framing}) {
    const std::string request_id = response.header("X-Request-Id").value_or("");
    EXPECT_GT(request_id.size(), 1u) << response.status << ": the sender can name its request";
    EXPECT_TRUE(tells_of(gateway, response.status, request_id)) << response.status << "\n" << gateway.log();
  }
}

TEST(LogTest, NoSecretAndNoSignature) {
  Gateway gateway({.gateway = "  log_level: trace\n"});
  std::vector<std::string> hidden{gateway.standard_secret().substr(6), gateway.legacy_key(), gateway.own_secret()};
  auto post = [&](const Headers& headers, const std::string& body, int status) {
    for (const auto& [name, value] : headers) {
      if (value.size() < 40) continue;  // ids and times
      hidden.push_back(value.substr(value.find_last_of(",;") + 1));
    }
    EXPECT_EQ(gateway.post(headers, body).status, status);
  };
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  const std::string now = unix_seconds();
  post(gateway.sign(id, body), body, 200);
  post(sign_legacy(gateway.legacy_key(), unix_milliseconds(), body), body, 200);
  post(sign_own(gateway.own_secret(), now, body), body, 200);
  post(sign_standard(new_standard_secret(), id, now, body), body, 401);
  post(sign_standard(gateway.standard_secret(), id, unix_seconds(-86400), body), body, 401);
  post(sign_legacy(new_legacy_key(), unix_milliseconds(), body), body, 401);
  post(sign_own(new_own_secret(), now, body), body, 401);
  post(gateway.sign(id, "not JSON"), "not JSON", 422);
  EXPECT_EQ(hidden.size(), 3u + 8u) << "a signature was taken for something shorter";
  ASSERT_EQ(gateway.stop().code, 0);
  const std::string log = gateway.log();
  EXPECT_NE(log.find("refused"), std::string::npos);
  for (const std::string& text : hidden) EXPECT_EQ(log.find(text), std::string::npos) << text << "\n" << log;
}

// A pipe as standard error, and full: whoever reads it has stopped. Opened for both ways by all, it never breaks.
class StuckPipe {
 public:
  explicit StuckPipe(const std::string& path) : path_(path) {
    if (mkfifo(path.c_str(), 0600) == 0) fd_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0) throw std::runtime_error("no pipe at " + path);
  }
  ~StuckPipe() { close(fd_); }
  const std::string& path() const { return path_; }

  void fill() const {
    const std::string page(4096, '\n');
    while (write(fd_, page.data(), page.size()) > 0) {
    }
    while (write(fd_, page.data(), 1) > 0) {
    }
    EXPECT_EQ(errno, EAGAIN);
  }

 private:
  std::string path_;
  int fd_ = -1;
};

// An attacker fills the log; who waits for its reader has stopped serving.
TEST(LogTest, AReaderThatStopsDoesNotStopTheGateway) {
  Gateway gateway({.gateway = "  log_level: trace\n", .legacy = false});
  gateway.stop();
  const StuckPipe pipe(gateway.folder() + "/pipe");
  Process process({postern_binary(), {"serve", "-c", gateway.config_file()}, {}, pipe.path(), pipe.path()});
  auto health = [&gateway] {
    try {
      WireClient client = WireClient::tcp("127.0.0.1", gateway.port(), milliseconds(1000));
      client.send(request_text("GET", "/health", {}));
      const auto response = client.read_response(milliseconds(3000));
      return response ? response->status : 0;
    } catch (const std::runtime_error&) {
      return 0;
    }
  };
  ASSERT_TRUE(eventually(kSoon, [&] { return health() == 200; }));
  pipe.fill();

  constexpr int kAtOnce = 500;
  std::string requests;
  for (int i = 0; i < kAtOnce; ++i) requests += request_text("GET", "/nope", {});
  for (int round = 0; round < 40; ++round) {  // 20,000 in all
    WireClient client = gateway.connect();
    ASSERT_TRUE(client.send(requests)) << "round " << round;
    for (int i = 0; i < kAtOnce; ++i) {
      const auto response = client.read_response();
      ASSERT_TRUE(response) << "round " << round << ", request " << i;
      ASSERT_EQ(response->status, 404);
    }
  }
  EXPECT_EQ(health(), 200);
  const std::string id = new_event_id();
  EXPECT_EQ(status_of(gateway.post_signed(id, message_body(id))), "queued");
  process.send_signal(SIGTERM);
  const auto exit = process.wait(kSoon);
  ASSERT_TRUE(exit) << "its log holds it up";
  EXPECT_EQ(exit->code, 0) << "signal " << exit->signal;
}

}  // namespace
}  // namespace postern::testing
