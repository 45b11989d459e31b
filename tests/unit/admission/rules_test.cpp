#include "core/admission/rules.h"

#include <gtest/gtest.h>

namespace postern::admission {
namespace {

constexpr int64_t kNow = 1'000'000'000;

http::Request head(const std::string& headers) { return http::Request::from_parts("POST", "/hook", headers, ""); }

const std::string kJson = "Content-Type: application/json\r\n";

int refusal(const Rules& rules, const std::string& headers, const std::string& client = "192.0.2.1") {
  auto refused = rules.refuse(head(headers), client, kNow);
  return refused ? refused->response.status : 0;
}

// One whose signature is right.
int genuine(const Rules& rules, const std::string& client = "192.0.2.1") {
  if (int status = refusal(rules, "", client); status != 0) return status;
  auto refused = rules.refuse_verified(kNow);
  return refused ? refused->response.status : 0;
}

TEST(Rules, LetEverythingPassWhenThereAreNone) {
  EXPECT_EQ(refusal({}, ""), 0);
  EXPECT_EQ(refusal({}, "Content-Type: text/plain\r\n", "unix"), 0);
}

TEST(Rules, KnowTheContentType) {
  Rules rules;
  rules.content_types = {"application/json", "application/x-www-form-urlencoded"};
  EXPECT_EQ(refusal(rules, kJson), 0);
  EXPECT_EQ(refusal(rules, "content-type: APPLICATION/Json ; charset=utf-8\r\n"), 0);
  EXPECT_EQ(refusal(rules, "Content-Type: application/json;charset=utf-8\r\n"), 0);
  EXPECT_EQ(refusal(rules, "Content-Type: application/x-www-form-urlencoded\r\n"), 0);
  for (const char* type : {"text/plain", "application/jsonx", "application", "application/json, text/plain", "", ";application/json",
                           "application/json/x", "x application/json"}) {
    EXPECT_EQ(refusal(rules, "Content-Type: " + std::string(type) + "\r\n"), 415) << type;
  }
  EXPECT_EQ(refusal(rules, ""), 415);
  EXPECT_EQ(refusal(rules, kJson + kJson), 415) << "two answers to one question";
  EXPECT_EQ(refusal(rules, kJson + "Content-Type: text/plain\r\n"), 415);
}

TEST(Rules, RefuseEncodedBodies) {
  EXPECT_EQ(refusal({}, "Content-Encoding: gzip\r\n"), 415);
  EXPECT_EQ(refusal({}, "content-encoding: br\r\n"), 415);
  EXPECT_EQ(refusal({}, "Content-Encoding: identity, gzip\r\n"), 415);
  EXPECT_EQ(refusal({}, "Content-Encoding: \r\n"), 415);
  EXPECT_EQ(refusal({}, "Content-Encoding: Identity\r\n"), 0);
  EXPECT_EQ(refusal({}, "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"), 415) << "the second header counts as well";
}

TEST(Rules, KnowTheAddress) {
  Rules rules;
  rules.allow = *AddressList::parse({"192.0.2.0/24"});
  EXPECT_EQ(refusal(rules, "", "192.0.2.77"), 0);
  EXPECT_EQ(refusal(rules, "", "::ffff:192.0.2.77"), 0);
  EXPECT_EQ(refusal(rules, "", "198.51.100.1"), 403);
  EXPECT_EQ(refusal(rules, "", "unix"), 403) << "what has no address is on no list";
}

TEST(Rules, TellWhenToTryAgain) {
  Rules rules;
  rules.rate = std::make_shared<TokenBucket>(0.1);
  EXPECT_EQ(genuine(rules), 0);
  for (const auto& refused : {rules.refuse(head(""), "192.0.2.1", kNow), rules.refuse_verified(kNow)}) {
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->why, Rules::Why::kRate);
    EXPECT_EQ(refused->response.status, 429);
    ASSERT_EQ(refused->response.headers.size(), 1u);
    EXPECT_EQ(refused->response.headers[0].first, "Retry-After");
    EXPECT_EQ(refused->response.headers[0].second, "10");
  }
}

// Somebody who may not call at all must not use up the rate of those who may.
TEST(Rules, AskForTheAddressBeforeTheRate) {
  Rules rules;
  rules.allow = *AddressList::parse({"192.0.2.0/24"});
  rules.rate = std::make_shared<TokenBucket>(1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(refusal(rules, "", "198.51.100.1"), 403);
  EXPECT_EQ(genuine(rules), 0);
  EXPECT_EQ(genuine(rules), 429);
  EXPECT_EQ(refusal(rules, "", "198.51.100.1"), 403);
}

// One client that asks for too much must not use up the rate of all.
TEST(Rules, AskForTheClientsRateBeforeThatOfAll) {
  Rules rules;
  rules.rate_per_client = std::make_shared<ClientRate>(1);
  rules.rate = std::make_shared<TokenBucket>(2);
  EXPECT_EQ(genuine(rules), 0);
  for (int i = 0; i < 10; ++i) {
    auto refused = rules.refuse(head(""), "192.0.2.1", kNow);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->why, Rules::Why::kClientRate);
  }
  EXPECT_EQ(genuine(rules, "192.0.2.2"), 0);
  auto refused = rules.refuse(head(""), "192.0.2.3", kNow);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->why, Rules::Why::kRate);
  EXPECT_EQ(refused->response.status, 429);
}

// Attack: a flood of requests that nobody signed must not use up the rate of the provider.
TEST(Rules, TakeFromTheRateForVerifiedRequestsOnly) {
  Rules rules;
  rules.content_types = {"text/plain"};
  rules.rate = std::make_shared<TokenBucket>(1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(refusal(rules, "Content-Type: text/plain\r\n"), 0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(refusal(rules, kJson), 415);
  EXPECT_FALSE(rules.refuse_verified(kNow));
  EXPECT_TRUE(rules.refuse_verified(kNow)) << "read at the same time as the first";
  EXPECT_EQ(refusal(rules, "Content-Type: text/plain\r\n"), 429) << "before its body is read";
}

TEST(Rules, TellNothingOfTheRequest) {
  Rules rules;
  rules.content_types = {"application/json"};
  auto refused = rules.refuse(head("Content-Type: marker/value\r\n"), "192.0.2.1", kNow);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->response.body.find("marker"), std::string::npos);
}

}  // namespace
}  // namespace postern::admission
