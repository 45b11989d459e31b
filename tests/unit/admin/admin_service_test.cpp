// The admin API from a socket to the store and back.
#include "core/admin/admin_service.h"

#include <gmock/gmock.h>

#include "core/base/ids.h"
#include "tests/unit/admin/archive.h"
#include "tests/unit/http/connection_harness.h"

namespace postern::admin {
namespace {

using http::testing::Client;
using nlohmann::json;
using store::testing::new_event;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = store::Settlement::Kind;

constexpr const char* kToken = "correct horse";

class AdminServiceTest : public http::testing::ConnectionTest {
 protected:
  void SetUp() override {
    ConnectionTest::SetUp();
    health_.add("database", std::chrono::hours(1), [] { return observe::HealthReport(); });
    serve_with("");
    client_ = connect();
  }
  // As the gateway ends: what the worker still does, it does while the service is there.
  void TearDown() override {
    worker_.stop();
    ConnectionTest::TearDown();
  }
  // The service that answers from now on.
  void serve_with(const std::string& token, bool open_metrics = false) {
    on_loop([&] {
      service_of_test_ = std::make_unique<AdminService>(
          loop_, worker_,
          AdminService::Parts{archive_.views(), archive_.upkeep(), health_, [this] { return ++reloads_; },
                              [this](const std::string& plugin) { return release(plugin); }},
          token, open_metrics);
      service_.head = [this](http::Exchange& e, const http::Request& head) {
        return service_of_test_->on_head(e, head);
      };
      service_.request = [this](std::shared_ptr<http::Exchange> e) { service_of_test_->on_request(std::move(e)); };
    });
  }
  Client::Answer ask(const std::string& target, const std::string& headers = "", const std::string& method = "GET") {
    client_->send(method + " " + target + " HTTP/1.1\r\nHost: postern\r\n" + headers + "\r\n");
    return client_->read_answer(method == "HEAD");
  }
  // The JSON of an answer that must be there.
  json get(const std::string& target) {
    Client::Answer answer = ask(target);
    EXPECT_EQ(answer.status, 200) << target << ": " << answer.body;
    EXPECT_TRUE(answer.has("Content-Type: application/json\r\n")) << answer.head;
    return json::parse(answer.body);
  }
  int status_with(const std::string& authorization) {
    return ask("/admin/v1/plugins", authorization.empty() ? "" : "Authorization: " + authorization + "\r\n").status;
  }

  Result<json> release(const std::string& plugin) {
    if (plugin == "held") return json{{"plugin", plugin}, {"reload", ++reloads_}};
    return Status(plugin == "free" ? Code::kInvalid : Code::kNotFound, "no");
  }

  uint64_t reloads_ = 0;
  testing::Archive archive_;
  observe::HealthBoard health_;
  Worker worker_;
  std::unique_ptr<AdminService> service_of_test_;
  std::unique_ptr<Client> client_;
};

// ---- who may

TEST_F(AdminServiceTest, AsksForTheTokenWhereThereIsOne) {
  serve_with(kToken);
  for (const char* path : {"/admin/v1/status", "/admin/v1/events", "/health", "/admin/v1/nothing", "/"}) {
    Client::Answer answer = ask(path);
    EXPECT_EQ(answer.status, 401) << path << ": strangers learn nothing, not even which paths there are";
    EXPECT_TRUE(answer.has("WWW-Authenticate: Bearer\r\n")) << answer.head;
    EXPECT_THAT(answer.body, Not(HasSubstr("horse")));
  }
}

TEST_F(AdminServiceTest, TakesTheTokenOnly) {
  serve_with(kToken);
  EXPECT_EQ(status_with("Bearer correct horse"), 200);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer correct hors", "Bearer correct horsf",
                            "Bearer correct horse2", "Bearer xcorrect horse", "Bearer CORRECT HORSE", "correct horse",
                            "Basic correct horse", "Bearer Bearer correct horse"}) {
    EXPECT_EQ(status_with(wrong), 401) << wrong;
  }
}

TEST_F(AdminServiceTest, TakesNoTokenFromTheQuery) {
  serve_with(kToken);
  EXPECT_EQ(ask("/admin/v1/plugins?token=correct+horse&access_token=correct+horse").status, 401);
}

TEST_F(AdminServiceTest, AsksForNoTokenWhereThereIsNone) {
  EXPECT_EQ(status_with(""), 200);
  EXPECT_EQ(status_with("Bearer whatever"), 200);
}

TEST_F(AdminServiceTest, ReleasesAPluginByItsName) {
  auto release_by_post = [this](const std::string& plugin) {
    return ask("/admin/v1/plugins/" + plugin + "/release", "Content-Length: 0\r\n", "POST");
  };
  Client::Answer answer = release_by_post("held");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("reload":1)"));
  EXPECT_EQ(release_by_post("free").status, 400);
  EXPECT_EQ(release_by_post("none").status, 404);
  EXPECT_EQ(ask("/admin/v1/plugins/held/release").status, 405);
  serve_with(kToken);
  EXPECT_EQ(release_by_post("held").status, 401);
}

TEST_F(AdminServiceTest, MetricsNeedTheTokenToo) {
  serve_with(kToken);
  EXPECT_EQ(ask("/metrics").status, 401);
  Client::Answer answer = ask("/metrics", "Authorization: Bearer correct horse\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "# metrics\n");
  EXPECT_TRUE(answer.has("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n")) << answer.head;
}

TEST_F(AdminServiceTest, OpenMetricsOpenNothingElse) {
  serve_with(kToken, true);
  EXPECT_EQ(ask("/metrics").status, 200);
  EXPECT_EQ(ask("/metrics?x=1").status, 200);
  EXPECT_EQ(ask("/metrics", "Authorization: Bearer wrong\r\n").status, 200);
  for (const char* path : {"/metrics/", "/metrics/../admin/v1/status", "/Metrics", "//metrics", "/admin/v1/status", "/health", "/"}) {
    EXPECT_EQ(ask(path).status, 401) << path;
  }
  EXPECT_EQ(ask("/metrics", "Content-Length: 0\r\n", "POST").status, 401);
}

// ---- where

TEST_F(AdminServiceTest, KnowsItsPathsOnly) {
  for (const char* path :
       {"/", "/admin", "/admin/v1", "/admin/v1/", "/admin/v1/nothing", "/admin/v1/status/", "/admin/v2/status",
        "/admin/v1/events/a/b", "/admin/v1/%2e%2e/status", "/admin/v1/events/%00", "/admin/v1/events/%ff"}) {
    EXPECT_EQ(ask(path).status, 404) << path;
  }
}

TEST_F(AdminServiceTest, OnlyReads) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    Client::Answer answer = ask("/admin/v1/events", "Content-Length: 0\r\n", method);
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_TRUE(answer.has("Allow: GET\r\n")) << answer.head;
  }
}

TEST_F(AdminServiceTest, TakesNoBody) {
  EXPECT_EQ(ask("/admin/v1/status", "Content-Length: 100000\r\n").status, 413);
}

TEST_F(AdminServiceTest, TellsStatusPluginsAndRoutes) {
  EXPECT_EQ(get("/admin/v1/status")["version"], "1.2.3");
  EXPECT_EQ(get("/admin/v1/plugins")["what"], "plugins");
  EXPECT_EQ(get("/admin/v1/routes")["what"], "routes");
}

TEST_F(AdminServiceTest, TellsHealth) {
  EXPECT_EQ(get("/health"), (json{{"status", "healthy"}}));
  EXPECT_EQ(get("/api/health")["integrations"].size(), 1u);
  EXPECT_EQ(get("/api/health/")["integrations"].size(), 1u);
  EXPECT_EQ(get("/api/health/database")["integrations"]["database"]["status"], "configured");
  EXPECT_EQ(ask("/api/health/nobody").status, 404);
}

// ---- events

TEST_F(AdminServiceTest, ShowsAnEvent) {
  std::string id = archive_.put(new_event(1));
  EXPECT_EQ(get("/admin/v1/events/" + id)["external_id"], "EV1");
  EXPECT_EQ(get("/admin/v1/events/%65" + id.substr(1))["external_id"], "EV1") << "the path is decoded once";
}

TEST_F(AdminServiceTest, HidesSignatures) {
  ingest::NewEvent event = new_event(1);
  event.headers = "X-Acme-Signature: v1=5ec2e7\r\n";
  Client::Answer answer = ask("/admin/v1/events/" + archive_.put(event));
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, Not(HasSubstr("5ec2e7")));
  EXPECT_THAT(answer.body, HasSubstr("(hidden)"));
}

TEST_F(AdminServiceTest, ShowsBytesThatAreNoText) {
  ingest::NewEvent event = new_event(1);
  event.body = "a\xff\xfe" + std::string(1, '\0') + "b\x1b[2J";
  event.headers = "X-Odd: \xc3\x28\r\n";
  std::string id = archive_.put(event);
  json shown = get("/admin/v1/events/" + id);
  EXPECT_THAT(shown["body"].get<std::string>(), ::testing::StartsWith("a"));
  EXPECT_THAT(shown["body"].get<std::string>(), HasSubstr("b\x1b[2J"));
}

TEST_F(AdminServiceTest, KnowsNoEventByAnOddId) {
  std::string id = archive_.put(new_event(1));
  for (const std::string& odd :
       {std::string("x"), id + "0", id.substr(0, id.size() - 1), id + "%20", std::string("evt_%c3%a9%c3%a9"),
        std::string("'%20OR%201=1--"), std::string("*"), std::string(5000, 'e')}) {
    Client::Answer answer = ask("/admin/v1/events/" + odd);
    EXPECT_EQ(answer.status, 404) << odd.substr(0, 40);
    EXPECT_EQ(answer.body, R"({"error":"no event has this id"})");
  }
}

TEST_F(AdminServiceTest, ListsEventsAsAsked) {
  archive_.put(new_event(1));
  std::string second = archive_.put(new_event(2));
  ingest::NewEvent third = new_event(3);
  third.type = "acme.thing.lost";
  archive_.put(third);
  EXPECT_EQ(get("/admin/v1/events").size(), 3u);
  json one = get("/admin/v1/events?limit=1");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0]["external_id"], "EV3");
  json before = get("/admin/v1/events?before=" + std::to_string(*seq_of_event_id(second)));
  ASSERT_EQ(before.size(), 1u);
  EXPECT_EQ(before[0]["external_id"], "EV1");
  EXPECT_EQ(get("/admin/v1/events?type=acme.*.lost").size(), 1u);
  EXPECT_EQ(get("/admin/v1/events?type=acme%2e%2a%2elost").size(), 1u);
  EXPECT_EQ(get("/admin/v1/events?type=no").size(), 0u);
}

TEST_F(AdminServiceTest, KeepsTheLimitInItsBounds) {
  for (uint64_t n = 1; n <= 60; ++n) archive_.put(new_event(n));
  EXPECT_EQ(get("/admin/v1/events").size(), 50u);
  EXPECT_EQ(get("/admin/v1/events?limit=0").size(), 1u);
  EXPECT_EQ(get("/admin/v1/events?limit=-5").size(), 1u);
  EXPECT_EQ(get("/admin/v1/events?limit=9223372036854775807").size(), 60u);
}

TEST_F(AdminServiceTest, TakesNoTextForANumber) {
  for (uint64_t n = 1; n <= 60; ++n) archive_.put(new_event(n));
  for (const char* text : {"", "many", "%20", "%00", "99999999999999999999", "0x10", "+5", "10x"}) {
    EXPECT_EQ(get(std::string("/admin/v1/events?limit=") + text).size(), 50u) << text;
    EXPECT_EQ(get(std::string("/admin/v1/events?limit=1&before=") + text)[0]["external_id"], "EV60") << text;
  }
}

// ---- dead deliveries

TEST_F(AdminServiceTest, ShowsTheDead) {
  int64_t dead = 0;
  std::string id = archive_.put_delivery(1, dead);
  archive_.settle(dead, Kind::kDead);
  EXPECT_EQ(get("/admin/v1/dead").size(), 1u);
  EXPECT_EQ(get("/admin/v1/dead?before=" + std::to_string(dead)).size(), 0u);
  EXPECT_EQ(get("/admin/v1/dead/" + std::to_string(dead))["of"]["id"], id);
}

TEST_F(AdminServiceTest, KnowsNoDeadDeliveryByWhatIsNoNumber) {
  int64_t dead = 0;
  archive_.put_delivery(1, dead);
  archive_.settle(dead, Kind::kDead);
  std::string number = std::to_string(dead);
  for (const std::string& other : {std::string("x"), std::string("0"), "-" + number, "99999999999999999999" + number,
                                   "%20" + number, number + "x", number + ".0", number + "%20"}) {
    Client::Answer answer = ask("/admin/v1/dead/" + other);
    EXPECT_EQ(answer.status, 404) << other;
  }
}

// ---- what changes something

TEST_F(AdminServiceTest, TakesJsonWhereItChangesSomething) {
  auto post = [&](const std::string& target, const std::string& type, const std::string& body) {
    std::string headers = type.empty() ? "" : "Content-Type: " + type + "\r\n";
    headers += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    client_->send("POST " + target + " HTTP/1.1\r\nHost: postern\r\n" + headers + "\r\n" + body);
    return client_->read_answer(false);
  };
  int64_t dead = 0;
  archive_.put_delivery(1, dead);
  archive_.settle(dead, Kind::kDead);
  Client::Answer found = post("/admin/v1/dead/find", "application/json", "{}");
  EXPECT_EQ(found.status, 200) << found.body;
  EXPECT_EQ(json::parse(found.body)["matched"], 1);
  EXPECT_EQ(post("/admin/v1/dead/replay", "application/json", R"({"nonsense":1})").status, 400);
  Client::Answer job = post("/admin/v1/dead/replay", "application/json; charset=utf-8", R"({"all":true})");
  EXPECT_EQ(job.status, 200) << job.body;
  EXPECT_EQ(get("/admin/v1/jobs").size(), 1u);
  EXPECT_EQ(get("/admin/v1/status")["jobs"].size(), 1u);
  std::string path = "/admin/v1/jobs/" + json::parse(job.body)["job"]["id"].dump();
  EXPECT_EQ(post(path + "/cancel", "", "").status, 200);
  EXPECT_EQ(get(path)["state"], "cancelled");
  EXPECT_EQ(ask("/admin/v1/jobs/4711").status, 404);
  Client::Answer read = ask("/admin/v1/dead/replay");
  EXPECT_EQ(read.status, 405);
  EXPECT_TRUE(read.has("Allow: POST\r\n")) << read.head;
  EXPECT_EQ(post("/admin/v1/dead/replay", "text/plain", R"({"all":true})").status, 415);
}

TEST_F(AdminServiceTest, TakesNoEndlessBody) {
  client_->send("POST /admin/v1/dead/find HTTP/1.1\r\nHost: postern\r\nContent-Type: application/json\r\nContent-Length: 65537\r\n\r\n");
  EXPECT_EQ(client_->read_answer(false).status, 413);
}

TEST_F(AdminServiceTest, AsksForTheTokenBeforeItChangesSomething) {
  serve_with(kToken);
  EXPECT_EQ(ask("/admin/v1/dead/drop", "Content-Type: application/json\r\nContent-Length: 0\r\n", "POST").status, 401);
}

// ---- load

TEST_F(AdminServiceTest, RefusesMoreThanItCanRemember) {
  std::promise<void> held, release;
  worker_.run([&held, released = release.get_future().share()] {
    held.set_value();
    released.wait();
  });
  held.get_future().wait();
  while (worker_.run([] {})) {
  }
  Client::Answer answer = ask("/admin/v1/status");
  release.set_value();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"error":"too many admin requests"})");
}

TEST_F(AdminServiceTest, OutlivesAClientThatIsGone) {
  std::promise<void> held, release;
  worker_.run([&held, released = release.get_future().share()] {
    held.set_value();
    released.wait();
  });
  held.get_future().wait();
  client_->send("GET /admin/v1/status HTTP/1.1\r\nHost: postern\r\n\r\n");
  on_loop([] {});
  client_->close();
  release.set_value();
  EXPECT_TRUE(all_closed_within(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace postern::admin
