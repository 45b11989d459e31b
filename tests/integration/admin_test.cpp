// The admin listener over TCP: nothing without the token, everything with it, and nothing of it in public.
#include <gmock/gmock.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

class AdminTest : public OpenphoneTest {
 protected:
  GatewayOptions options() const override {
    return {.admin = "listen: \"127.0.0.1:" + std::to_string(admin_port_) + "\", token: " + token_};
  }

  // `authorization`: the whole value of the header; "" for none.
  Response ask(std::string_view method, const std::string& target, const std::string& authorization) {
    WireClient client = WireClient::tcp("127.0.0.1", admin_port_);
    Headers headers;
    if (!authorization.empty()) headers.emplace_back("Authorization", authorization);
    client.send(request_text(method, target, headers));
    auto response = client.read_response();
    if (!response) throw std::runtime_error("no answer to " + target + "\n" + gateway().log());
    return *response;
  }
  Response get(const std::string& target) { return ask("GET", target, "Bearer " + token_); }

  static inline const uint16_t admin_port_ = free_port();
  static inline const std::string token_ = hex(random_bytes(32));
};

const std::vector<std::string>& all_targets() {
  static const std::vector<std::string> targets{"/admin/v1/status", "/admin/v1/plugins", "/admin/v1/routes",
                                                "/admin/v1/events", "/admin/v1/dead",    "/api/health/",
                                                "/admin/v1/nothing"};
  return targets;
}

TEST_F(AdminTest, NothingWithoutTheToken) {
  std::string wrong = token_;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const std::string& target : all_targets()) {
    const Response none = ask("GET", target, "");
    EXPECT_EQ(none.status, 401) << target;
    EXPECT_THAT(none.header("WWW-Authenticate").value_or(""), HasSubstr("Bearer"));
    for (const std::string& shown : {"Bearer " + wrong, std::string("Bearer "), "Bearer " + token_ + "0",
                                     "Bearer " + token_.substr(0, 10), "Basic " + token_, token_}) {
      const Response refused = ask("GET", target, shown);
      EXPECT_EQ(refused.status, 401) << target << " with " << shown.substr(0, 7);
      EXPECT_TRUE(refused.header("WWW-Authenticate"));
      EXPECT_EQ(refused.body, none.body) << "the answer tells how near the guess was";
    }
  }
  EXPECT_EQ(gateway().log().find(wrong), std::string::npos) << "a guess may be a mistyped token";
}

// Attack: to hold connections takes no token. Some are silent, some have asked in vain, some are in the middle of a request.
TEST_F(AdminTest, ThoseWhoWaitAreNotInTheWay) {
  std::vector<WireClient> waiting;
  for (int i = 0; i < 120; ++i) {
    waiting.push_back(WireClient::tcp("127.0.0.1", admin_port_));
    if (i % 3 == 1) waiting.back().send(request_text("GET", "/admin/v1/status", {}));
    if (i % 3 == 2) waiting.back().send("GET /admin/v1/status HTTP/1.1\r\n");
  }
  EXPECT_EQ(get("/admin/v1/status").status, 200);
}

TEST_F(AdminTest, EverythingWithIt) {
  const std::string id = new_event_id();
  const std::string event_id = event_id_of(gateway().post_signed(id, message_body(id)));
  const Response status = get("/admin/v1/status");
  EXPECT_EQ(status.status, 200);
  EXPECT_EQ(json_of(status)["accepting"], true);
  EXPECT_GE(json_of(status)["store"]["events"], 1);

  const auto events = json_of(get("/admin/v1/events"));
  ASSERT_TRUE(events.is_array()) << events;
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events[0]["external_id"], id) << "the newest is the first";
  const Response event = get("/admin/v1/events/" + event_id);
  EXPECT_EQ(event.status, 200);
  EXPECT_THAT(event.body, HasSubstr(id));

  const Response health = get("/api/health/database");
  EXPECT_EQ(health.status, 200);
  EXPECT_TRUE(json_of(health)["integrations"]["database"].contains("details")) << health.body;
  EXPECT_THAT(get("/api/health/").body, HasSubstr("details"));
}

TEST_F(AdminTest, TheSchemesNameMayHaveAnyCase) {  // RFC 9110 11.1
  for (const char* scheme : {"bearer ", "BEARER "}) {
    EXPECT_EQ(ask("GET", "/admin/v1/status", scheme + token_).status, 200) << scheme;
  }
}

TEST_F(AdminTest, UnknownIs404AndWrongMethodIs405) {
  EXPECT_EQ(get("/admin/v1/nothing").status, 404);
  EXPECT_EQ(get("/admin/v1/events/evt_00000000000000000000000000").status, 404);
  EXPECT_EQ(get("/api/health/nothing").status, 404);
  const Response refused = ask("DELETE", "/admin/v1/status", "Bearer " + token_);
  EXPECT_EQ(refused.status, 405);
  EXPECT_THAT(refused.header("Allow").value_or(""), HasSubstr("GET"));
}

TEST_F(AdminTest, NothingOfItIsPublic) {
  for (const std::string& target : all_targets()) {
    if (target.starts_with("/admin")) {
      EXPECT_EQ(gateway().request("GET", target, {{"Authorization", "Bearer " + token_}}).status, 404) << target;
    }
  }
  EXPECT_THAT(gateway().request("GET", "/api/health/").body, ::testing::Not(HasSubstr("public_url")));
}

}  // namespace
}  // namespace postern::testing
