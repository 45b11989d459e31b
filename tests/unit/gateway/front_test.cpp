// What stands behind the public listeners: health for everybody, its details for some, and all else for ingest.
#include "core/gateway/front.h"

#include <gmock/gmock.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/unit/http/connection_harness.h"

namespace postern::gateway {
namespace {

using http::testing::Client;
using ::testing::HasSubstr;
using ::testing::Not;

// Nothing reaches the store in these tests.
class NoSink final : public ingest::EventSink {
 public:
  void submit(std::unique_ptr<ingest::PendingEvent>) override { ADD_FAILURE() << "an event came through"; }
  Status accepting() const override { return Status::ok(); }
};

class NoBoard final : public ingest::ResultBoard {
 public:
  void await(int64_t, OnSettled) override { ADD_FAILURE() << "somebody waits for a result"; }
  void forget(int64_t) override {}
};

class FrontTest : public http::testing::ConnectionTest {
 protected:
  void SetUp() override {
    ConnectionTest::SetUp();
    start_health();
    add_reply_route();
    generation_->tables = std::make_unique<const ingest::Ingest::Tables>(ingest::Ingest::Tables{routes_, targets_, 60'000, urls_});
    front_ = std::make_unique<Front>(loop_, health_, generation_, sink_, board_);
    on_loop([this] {
      service_.head = [this](http::Exchange& e, const http::Request& head) { return front_->on_head(e, head); };
      service_.request = [this](std::shared_ptr<http::Exchange> e) { front_->on_request(std::move(e)); };
    });
    client_ = connect_tcp();
  }
  void TearDown() override {
    EXPECT_TRUE(replying_->stop(10'000));
    ConnectionTest::TearDown();
  }
  Client::Answer ask(const std::string& target, const std::string& headers = "", const std::string& method = "GET") {
    client_->send(method + " " + target + " HTTP/1.1\r\nHost: gateway\r\n" + headers + "\r\n");
    return client_->read_answer(method == "HEAD");
  }
  // What the answer tells of the check's details.
  nlohmann::json details(const std::string& headers = "") {
    return nlohmann::json::parse(ask("/api/health/", headers).body)["integrations"]["call_log"]["details"];
  }
  void set(admission::AddressList& list, const std::vector<std::string>& networks) {
    auto parsed = admission::AddressList::parse(networks);
    if (!parsed) throw std::runtime_error(parsed.status().message());
    on_loop([&] { list = std::move(*parsed); });
  }

  std::shared_ptr<Generation> generation_ = std::make_shared<Generation>();
  admission::AddressList& details_for_ = generation_->details_for;
  admission::UrlSource& urls_ = generation_->url_source;
  std::unique_ptr<Client> client_;

 private:
  // Answers with the client's address and the URLs by which it may have called.
  void add_reply_route() {
    ingest::Route route;
    route.kind = ingest::Route::Kind::kReply;
    route.method = "POST";
    route.path = "/who";
    route.replying = replying_;
    route.reply = [](const std::shared_ptr<ingest::Reply>& reply) {
      std::string text(reply->request().remote);
      for (const std::string& url : *reply->request().urls) text += " " + url;
      EXPECT_TRUE(reply->send(http::Response::json(200, text)));
    };
    ASSERT_TRUE(routes_.add(std::move(route)));
  }
  // Until the first result can be seen: the check is called again.
  void start_health() {
    health_.add("call-log", std::chrono::milliseconds(1), [this] {
      if (++checks_ == 2) checked_.set_value();
      return observe::HealthReport{observe::Health::kDegraded, "slow", R"({"host":"db-7.internal"})"};
    });
    health_.start();
    ASSERT_EQ(checked_.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }

  std::atomic<int> checks_{0};
  std::promise<void> checked_;
  observe::HealthBoard health_;
  std::shared_ptr<ingest::CallPool> replying_ = std::make_shared<ingest::CallPool>(ingest::CallPool::Limits{1, 10});
  ingest::RouteTable routes_;
  ingest::TargetTable targets_;
  NoSink sink_;
  NoBoard board_;
  std::unique_ptr<Front> front_;
};

const nlohmann::json kNone = nlohmann::json::object();
const nlohmann::json kDetails = {{"host", "db-7.internal"}};

TEST_F(FrontTest, IsAlive) {
  Client::Answer answer = ask("/health");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"healthy"})");
}

TEST_F(FrontTest, TellsTheHealthOfAll) {
  for (const char* path : {"/api/health", "/api/health/", "/api/health/?verbose=1"}) {
    Client::Answer answer = ask(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(nlohmann::json::parse(answer.body)["overall_status"], "degraded") << path;
    EXPECT_EQ(nlohmann::json::parse(answer.body)["integrations"].size(), 1u) << path;
  }
}

TEST_F(FrontTest, TellsTheHealthOfOne) {
  for (const char* path : {"/api/health/call-log", "/api/health/call_log"}) {
    Client::Answer answer = ask(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(nlohmann::json::parse(answer.body)["integrations"]["call_log"]["message"], "slow") << path;
  }
}

TEST_F(FrontTest, KnowsNoOtherHealth) {
  for (const char* path :
       {"/api/health/nobody", "/api/health/call_log/more", "/api/health/call%5flog", "/api/health/..%2f"}) {
    Client::Answer answer = ask(path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(answer.body, R"({"error":"no such health check"})") << path;
  }
}

TEST_F(FrontTest, TakesOnlyWholeNamesForHealth) {
  for (const char* path : {"/healthz", "/health/", "/api/healthy", "/api", "/"}) {
    EXPECT_THAT(ask(path).body, HasSubstr("no such route")) << path << " is ingest's to answer";
  }
}

TEST_F(FrontTest, AnswersHeadWithoutABody) {
  for (const char* path : {"/health", "/api/health", "/api/health/call-log"}) {
    Client::Answer answer = ask(path, "", "HEAD");
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_FALSE(answer.has("Content-Length: 0\r\n")) << path;
  }
  EXPECT_EQ(ask("/health").body, R"({"status":"healthy"})") << "a body after HEAD would have come first";
}

TEST_F(FrontTest, RefusesOtherMethodsForHealth) {
  for (const char* path : {"/health", "/api/health", "/api/health/call-log"}) {
    for (const char* method : {"POST", "DELETE", "OPTIONS"}) {
      Client::Answer answer = ask(path, "Content-Length: 0\r\n", method);
      EXPECT_EQ(answer.status, 405) << method << " " << path;
      EXPECT_TRUE(answer.has("Allow: GET, HEAD\r\n")) << answer.head;
    }
  }
}

TEST_F(FrontTest, TakesNoBodyForHealth) {
  client_->send("GET /health HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_EQ(client_->read_answer().status, 413);
}

// Whatever it asks for: paths that are tried, health, and what a body follows.
TEST_F(FrontTest, CountsEveryRequestOfAClient) {
  on_loop([this] { generation_->rate_per_client = std::make_shared<admission::ClientRate>(1.0 / 3600); });
  EXPECT_EQ(ask("/try").status, 404);
  for (const char* path : {"/try", "/health", "/api/health/"}) {
    Client::Answer answer = ask(path);
    EXPECT_EQ(answer.status, 429) << path;
    EXPECT_TRUE(answer.has("Retry-After: 3600\r\n")) << answer.head;
  }
  EXPECT_EQ(ask("/health", "X-Forwarded-For: 192.0.2.1\r\n").status, 429) << "anybody can write it";
  EXPECT_EQ(ask("/who", "Content-Length: 5\r\n", "POST").status, 429) << "without its body";
}

TEST_F(FrontTest, CountsTheClientsOfATrustedProxyEachByItself) {
  set(urls_.trusted_proxies, {"127.0.0.1/32"});
  on_loop([this] { generation_->rate_per_client = std::make_shared<admission::ClientRate>(1.0 / 3600); });
  for (const char* client : {"192.0.2.1", "192.0.2.2"}) {
    const std::string from = "X-Forwarded-For: " + std::string(client) + "\r\n";
    EXPECT_EQ(ask("/health", from).status, 200);
    EXPECT_EQ(ask("/health", from).status, 429);
  }
}

TEST_F(FrontTest, ShowsDetailsToNobodyUnlessSaid) { EXPECT_EQ(details(), kNone); }

TEST_F(FrontTest, ShowsDetailsToThoseWhoMay) {
  set(details_for_, {"127.0.0.0/8"});
  EXPECT_EQ(details(), kDetails);
  EXPECT_THAT(ask("/api/health/call-log").body, HasSubstr("db-7.internal"));
}

TEST_F(FrontTest, ShowsNoDetailsToOthers) {
  set(details_for_, {"10.0.0.0/8"});
  EXPECT_EQ(details(), kNone);
  EXPECT_THAT(ask("/api/health/call-log").body, Not(HasSubstr("db-7.internal")));
}

// Anybody can write the header.
TEST_F(FrontTest, BelievesNoHeaderOfAStranger) {
  set(details_for_, {"10.0.0.0/8"});
  EXPECT_EQ(details("X-Forwarded-For: 10.1.2.3\r\n"), kNone);
  EXPECT_EQ(details("Forwarded: for=10.1.2.3\r\n"), kNone);
}

TEST_F(FrontTest, SeesTheClientBehindATrustedProxy) {
  set(urls_.trusted_proxies, {"127.0.0.1/32"});
  set(details_for_, {"10.0.0.0/8", "127.0.0.1/32"});
  EXPECT_EQ(details("X-Forwarded-For: 10.1.2.3\r\n"), kDetails);
  EXPECT_EQ(details("X-Forwarded-For: 203.0.113.9\r\n"), kNone)
      << "the proxy's own address does not count for its clients";
}

// A proxy is trusted for being the one that is connected; that the client behind it is somebody else changes nothing about it.
TEST_F(FrontTest, TellsPluginsTheClientAndTheUrlsThatATrustedProxyForwards) {
  const std::string headers =
      "Content-Length: 0\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\n";
  on_loop([this] { urls_.public_url = "https://hooks.acme.io"; });
  EXPECT_EQ(ask("/who?x", headers, "POST").body, "127.0.0.1 https://hooks.acme.io/who?x");
  set(urls_.trusted_proxies, {"127.0.0.1/32"});
  EXPECT_EQ(ask("/who?x", headers, "POST").body, "203.0.113.9 https://hooks.acme.io/who?x") << "public_url alone";
  on_loop([this] { urls_.public_url = ""; });
  EXPECT_EQ(ask("/who?x", headers, "POST").body, "203.0.113.9 https://a.test/who?x");
  set(urls_.trusted_proxies, {"203.0.113.9/32"});
  EXPECT_EQ(ask("/who?x", headers, "POST").body, "127.0.0.1")
      << "whom a stranger claims to be is no proxy";
}

TEST_F(FrontTest, GivesAllElseToIngest) {
  Client::Answer answer = ask("/hook", "Content-Length: 0\r\n", "POST");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, R"({"error":"no such route"})");
}

}  // namespace
}  // namespace postern::gateway
