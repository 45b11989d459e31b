// What an operator sets on a plugin's route: reject_status, rate, allow, wait.
#include <gmock/gmock.h>

#include <optional>
#include <string>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::MatchesRegex;

struct RejectStatusTest : OpenphoneTest {
  GatewayOptions options() const override { return {.route = "reject_status: 403", .legacy = false, .own = false}; }
};

TEST_F(RejectStatusTest, ReplacesThe401) {
  const std::string body = message_body(new_event_id());
  EXPECT_TRUE(stores_nothing([&] {
    EXPECT_EQ(gateway().post({}, body).status, 403);
    EXPECT_EQ(gateway().post(sign_standard(new_standard_secret(), new_event_id(), unix_seconds(), body), body).status,
              403);
  }));
}

TEST_F(RejectStatusTest, ASchemeWithoutASecretIsRefused) {
  const std::string body = message_body(new_event_id());
  EXPECT_TRUE(stores_nothing([&] {
    EXPECT_EQ(gateway().post(sign_legacy(gateway().legacy_key(), unix_milliseconds(), body), body).status, 403);
    EXPECT_EQ(gateway().post(sign_own("", unix_seconds(), body), body).status, 403)
        << "an empty secret is one that everybody knows";
  }));
}

struct RateTest : OpenphoneTest {
  GatewayOptions options() const override { return {.route = "rate: 2/s"}; }
};

TEST_F(RateTest, ExceededRateIsTold) {
  std::optional<Response> refused;
  for (int i = 0; i < 200 && !refused; ++i) {
    const std::string id = new_event_id();
    const Response response = gateway().post_signed(id, message_body(id));
    if (response.status != 200) refused = response;
  }
  ASSERT_TRUE(refused) << "200 requests were faster than 2/s";
  EXPECT_EQ(refused->status, 429);
  EXPECT_THAT(refused->header("Retry-After").value_or(""), MatchesRegex("[1-9][0-9]*"));
  EXPECT_EQ(gateway().request("GET", "/health").status, 200) << "the rate is the route's alone";
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  EXPECT_TRUE(eventually(milliseconds(10000), [&] { return gateway().post_signed(id, body).status == 200; }));
}

struct AllowTest : ::testing::Test {};

TEST_F(AllowTest, OtherAddressesAreRefused) {
  Gateway gateway({.route = "allow: [10.0.0.0/8]"});
  const std::string id = new_event_id();
  EXPECT_EQ(gateway.post_signed(id, message_body(id)).status, 403);
  EXPECT_EQ(gateway.store().events(), 0);
}

// Behind a proxy the client's address is what the proxy says, and only what it says.
TEST_F(AllowTest, ATrustedProxysWordCounts) {
  Gateway gateway({.gateway = "  trusted_proxies: [127.0.0.1/32]\n", .route = "allow: [192.0.2.0/24]"});
  auto status_from = [&gateway](const char* forwarded_for) {
    const std::string id = new_event_id();
    const std::string body = message_body(id);
    Headers headers = gateway.sign(id, body);
    headers.emplace_back("X-Forwarded-For", forwarded_for);
    return gateway.post(headers, body).status;
  };
  EXPECT_EQ(status_from("192.0.2.7"), 200);
  EXPECT_EQ(status_from("192.0.2.7, 198.51.100.1"), 403) << "the client wrote the first address itself";
  EXPECT_EQ(status_from("nobody"), 403);
  EXPECT_EQ(gateway.store().events(), 1);
}

TEST_F(AllowTest, AnybodyElsesWordDoesNot) {
  Gateway gateway({.route = "allow: [192.0.2.0/24]"});
  const std::string id = new_event_id();
  const std::string body = message_body(id);
  Headers headers = gateway.sign(id, body);
  headers.emplace_back("X-Forwarded-For", "192.0.2.7");
  EXPECT_EQ(gateway.post(headers, body).status, 403);
}

struct WaitTest : OpenphoneTest {
  GatewayOptions options() const override { return {.route = "wait: 10s"}; }
};

TEST_F(WaitTest, SettledInTimeIsProcessed) {
  const std::string id = new_event_id();
  const Response response = gateway().post_signed(id, message_body(id));
  EXPECT_EQ(status_of(response), "processed");
  EXPECT_NE(event_id_of(response), "");
  EXPECT_TRUE(json_of(response).contains("result")) << response.body;
  EXPECT_EQ(gateway().store().state_of(id), "done");
}

}  // namespace
}  // namespace postern::testing
