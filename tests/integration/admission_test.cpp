// What one client may ask for: rates and connections of each, whatever else happens; and bodies that are refused before they are here.
#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/integration/refusals.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr milliseconds kSoon(10'000);

Response ask(WireClient& client, const std::string& path, const std::string& from = "") {
  client.send(request_text("GET", path, from.empty() ? Headers{} : Headers{{"X-Forwarded-For", from}}));
  auto response = client.read_response();
  if (!response) throw std::runtime_error("no answer");
  return *response;
}

// How many of `tries` requests on one connection are let through.
int passes(WireClient& client, int tries, const std::string& from) {
  int passed = 0;
  for (int i = 0; i < tries; ++i) passed += ask(client, "/health", from).status == 200;
  return passed;
}

// Whoever tries paths is refused like anybody else who asks for too much.
TEST(ClientRates, OfTheGatewayCountEveryRequest) {
  Gateway gateway({.gateway = "  rate_per_client: 20/s\n"});
  WireClient client = gateway.connect();
  std::optional<Response> refused;
  for (int i = 0; i < 2000 && !refused; ++i) {
    Response response = ask(client, "/scan/" + std::to_string(i));
    if (response.status == 404) continue;
    refused = response;
  }
  ASSERT_TRUE(refused) << "2,000 requests were faster than 20/s";
  EXPECT_EQ(refused->status, 429);
  EXPECT_THAT(refused->header("Retry-After").value_or(""), MatchesRegex("[1-9][0-9]*"));
  EXPECT_THAT(refusals_of(gateway), HasSubstr("postern_refusals_total{status=\"429\",reason=\"client_rate\"}"));
  EXPECT_TRUE(eventually(kSoon, [&] { return ask(client, "/health").status == 200; })) << "it is served again";
}

// The rate is the client's behind the proxy; an IPv6 network is one client. At 5/h no bucket gets a token back while this runs.
TEST(ClientRates, TellClientsBehindATrustedProxyApart) {
  Gateway gateway({.gateway = "  trusted_proxies: [127.0.0.1/32]\n  rate_per_client: 5/h\n"});
  WireClient client = gateway.connect();
  EXPECT_EQ(passes(client, 3, "192.0.2.1"), 1);
  EXPECT_EQ(passes(client, 3, "192.0.2.2"), 1);
  EXPECT_EQ(passes(client, 3, "::ffff:192.0.2.2"), 0);
  EXPECT_EQ(passes(client, 3, "2001:db8::1"), 1);
  EXPECT_EQ(passes(client, 3, "2001:db8::2"), 0);
  EXPECT_EQ(passes(client, 3, "198.51.100.7, 192.0.2.1"), 0) << "what a client writes before its own address";
  EXPECT_EQ(passes(client, 3, "nobody"), 1);
  EXPECT_EQ(passes(client, 3, "nobody else"), 0) << "what is no address is one client";
}

TEST(ClientRates, OfAStrangerAreNotPassedByAHeader) {
  Gateway gateway({.gateway = "  rate_per_client: 20/h\n"});
  WireClient client = gateway.connect();
  EXPECT_LE(passes(client, 10, ""), 1) << "the start asks for health, too";
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(client, "/health", "192.0.2." + std::to_string(i)).status, 429);
}

// A route's own, which a reload leaves as it stands unless it is another one.
TEST(ClientRates, OfARouteOutlastAReload) {
  Gateway gateway({.gateway = "  trusted_proxies: [127.0.0.1/32]\n", .route = "rate_per_client: 5/h, rate: 3/h"});
  auto post = [&](const std::string& from) {
    const std::string id = new_event_id(), body = message_body(id);
    Headers headers = gateway.sign(id, body);
    headers.emplace_back("X-Forwarded-For", from);
    return gateway.post(headers, body).status;
  };
  EXPECT_EQ(post("192.0.2.1"), 200);
  EXPECT_EQ(post("192.0.2.1"), 429);
  EXPECT_THAT(refusals_of(gateway), HasSubstr("postern_refusals_total{status=\"429\",reason=\"client_rate\"} 1"));
  EXPECT_EQ(post("192.0.2.2"), 429) << "the route's is used up";
  EXPECT_THAT(refusals_of(gateway), HasSubstr("postern_refusals_total{status=\"429\",reason=\"rate\"} 1"));
  ASSERT_EQ(gateway.command({"reload"}, milliseconds(60'000)).exit.code, 0);
  EXPECT_EQ(post("192.0.2.1"), 429) << "the client's goes on";
  EXPECT_EQ(post("192.0.2.3"), 429) << "the route's goes on";
  std::string yaml = gateway.config();
  yaml.replace(yaml.find("rate: 3/h"), 9, "rate: 4/h");
  gateway.write_config(yaml);
  ASSERT_EQ(gateway.command({"reload"}, milliseconds(60'000)).exit.code, 0);
  EXPECT_EQ(post("192.0.2.1"), 429) << "the client's still goes on";
  EXPECT_EQ(post("192.0.2.4"), 200) << "another rate is another bucket";
  EXPECT_EQ(gateway.store().events(), 2);
}

// Keeps in `open` each connection that is served. What is not is answered 503, told when to come again, and closed.
bool is_served(const Gateway& gateway, std::vector<WireClient>& open) {
  WireClient client = gateway.connect();
  client.send(request_text("GET", "/health", {}));
  auto response = client.read_response();
  bool served = response && response->status == 200;
  if (response && !served) {
    EXPECT_EQ(response->status, 503);
    EXPECT_TRUE(response->header("Retry-After"));
    EXPECT_TRUE(client.closes_silently());
  }
  if (served) open.push_back(std::move(client));
  return served;
}

TEST(ConnectionCaps, OfOneClient) {
  Gateway gateway({.gateway = "  max_connections_per_client: 3\n"});
  std::vector<WireClient> open;
  auto connects = [&] { return is_served(gateway, open); };
  // Those with which the start asked may not have ended yet.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(eventually(kSoon, connects)) << i;
  EXPECT_FALSE(connects());
  EXPECT_THAT(refusals_of(gateway), HasSubstr("postern_refusals_total{status=\"503\",reason=\"client_connections\"}"));
  EXPECT_TRUE(gateway.logs("client_connections"));
  open.pop_back();
  EXPECT_TRUE(eventually(kSoon, connects)) << "one has gone";
  EXPECT_FALSE(connects());
}

TEST(ConnectionCaps, OfOneClientAreNotATrustedProxys) {
  Gateway gateway({.gateway = "  max_connections_per_client: 3\n  trusted_proxies: [127.0.0.1/32]\n"});
  std::vector<WireClient> open;
  for (int i = 0; i < 10; ++i) {
    open.push_back(gateway.connect());
    EXPECT_EQ(ask(open.back(), "/health").status, 200);
  }
}

TEST(ConnectionCaps, OfAll) {
  Gateway gateway({.gateway = "  max_connections: 5\n  trusted_proxies: [127.0.0.1/32]\n"});
  std::vector<WireClient> open;
  auto connects = [&] { return is_served(gateway, open); };
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(eventually(kSoon, connects)) << i;
  EXPECT_FALSE(connects());
  EXPECT_THAT(refusals_of(gateway), HasSubstr("postern_refusals_total{status=\"503\",reason=\"connections\"}"));
  open.clear();
  EXPECT_TRUE(eventually(kSoon, connects));
}

// Before it is here: neither what a length announces nor what a chunk does is waited for, and the answer comes before the first byte.
TEST(BodyLimits, RefuseWhatIsAnnounced) {
  Gateway gateway({.route = "max_body: 4KiB"});
  const size_t before = gateway.process().rss();
  std::vector<WireClient> clients;
  for (int i = 0; i < 50; ++i) {
    for (const Headers& framing : {Headers{{"Content-Length", "1000000000"}}, Headers{{"Transfer-Encoding", "chunked"}}}) {
      clients.push_back(gateway.connect());
      Headers headers{{"Content-Type", "application/json"}};
      headers.insert(headers.end(), framing.begin(), framing.end());
      clients.back().send(request_text("POST", kOpenphonePath, headers));
      if (framing.front().first == "Transfer-Encoding") clients.back().send("3b9aca00\r\n");
      auto response = clients.back().read_response();
      ASSERT_TRUE(response);
      EXPECT_EQ(response->status, 413);
    }
  }
  EXPECT_LT(gateway.process().rss(), before + (16u << 20));
  EXPECT_EQ(gateway.store().events(), 0);
}

TEST(BodyLimits, RefuseTheWrongContentTypeBeforeTheBody) {
  Gateway gateway;
  WireClient client = gateway.connect();
  client.send(request_text("POST", kOpenphonePath, {{"Content-Type", "text/plain"}, {"Content-Length", "1000"}}));
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 415);
}

// With deadlines that alone would let it go on for long.
TEST(BodyLimits, RefuseOneThatComesTooSlowly) {
  Gateway gateway({.gateway = "  deadlines: {body: 10m}\n  min_body_rate: 100\n"});
  WireClient client = gateway.connect();
  client.send(request_text("POST", kOpenphonePath, {{"Content-Type", "application/json"}, {"Content-Length", "100000"}}));
  std::optional<Response> response;
  const auto deadline = Clock::now() + milliseconds(30'000);
  while (!response && !client.ended() && Clock::now() < deadline) {
    client.send(" ");
    response = client.read_response(milliseconds(50));
  }
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 408);
  EXPECT_THAT(refusals_of(gateway), HasSubstr("postern_refusals_total{status=\"408\",reason=\"too_slow\"} 1"));
}

}  // namespace
}  // namespace postern::testing
