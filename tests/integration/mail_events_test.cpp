// What SendGrid tells of mails, through the real daemon: a mail goes out, its events come in, and its record says what became of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/support/eventually.h"
#include "tests/support/gateway.h"
#include "tests/support/places.h"
#include "tests/support/process.h"
#include "tests/support/sendgrid.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr milliseconds kSoon{30'000};
constexpr std::string_view kPath = "/api/v1/webhooks/email";
constexpr const char* kToken = "a-token-of-the-tests";

// Debian's aiosmtpd, on a port of its own.
class MailServer {
 public:
  MailServer()
      : process_({.program = "/usr/bin/python3",
                  .args = {sources("tests/support/mail/aiosmtpd_server.py"), R"({"tls":"none"})"},
                  .env = {},
                  .out_file = {},
                  .err_file = {}}) {
    const auto told = [this] { return process_.out().starts_with("port ") && process_.out().find('\n') != std::string::npos; };
    if (!eventually(kSoon, told)) throw std::runtime_error("no mail server: " + process_.err());
  }
  int port() const { return std::stoi(process_.out().substr(5)); }
  // The recipients of the mails that came.
  std::vector<std::string> mails() const {
    std::vector<std::string> all;
    std::istringstream in(process_.out());
    for (std::string line; std::getline(in, line);) {
      const json read = json::parse(line, nullptr, false);
      if (read.is_object() && read.contains("mail")) all.push_back(read["mail"]["to"].dump());
    }
    return all;
  }

 private:
  Process process_;
};

class MailEventsTest : public ::testing::Test {
 protected:
  GatewayOptions options() const {
    const json config = {{"host", "127.0.0.1"},
                         {"port", server_.port()},
                         {"tls", "none"},
                         {"from", "postern@example.com"},
                         {"health", {{"connect", false}}},
                         {"api", {{"tokens", {kToken}}}},
                         {"inbound", {{"sendgrid", {{"public_keys", {key_.public_key()}}}}}}};
    return {.plugins = "  - {name: smtp, library: smtp.so, config: " + config.dump() + "}\n",
            .subscriptions = "  - {on: email.bounced, plugin: smtp, with: {to: ops@example.com}}\n"};
  }
  Gateway& gateway() { return gateway_; }

  Response post(const Headers& headers, const std::string& body) {
    Headers all{{"Content-Type", "application/json"}};
    all.insert(all.end(), headers.begin(), headers.end());
    return gateway_.request("POST", kPath, all, body);
  }
  Response post_signed(const json& entries) {
    const std::string body = entries.dump() + "\r\n";
    return post(key_.sign(unix_seconds(), body), body);
  }

  // Sends a mail to Ann; its Message-ID.
  std::string send() {
    const Response answer = gateway_.request(
        "POST", "/api/v1/email/send",
        {{"Content-Type", "application/json"}, {"Authorization", std::string("Bearer ") + kToken}, {"Idempotency-Key", "k"}},
        R"({"to":"ann@example.com","subject":"Hello","text":"Hi"})");
    EXPECT_EQ(status_of(answer), "queued");
    std::string id;
    EXPECT_TRUE(eventually(kSoon, [&] { return !(id = message_id()).empty(); })) << gateway_.log();
    return id;
  }
  // Of the mail that is done, or of one that is about an event of this type.
  std::string message_id(const std::string& about = "smtp.send") const {
    for (const auto& row : gateway_.store().rows("SELECT value FROM record WHERE collection = 'mails'", {})) {
      const json mail = json::parse(row[0]);
      if (mail["event_type"] == about) return mail["message_id"];
    }
    return {};
  }
  bool all_settled() const { return gateway_.store().number("SELECT count(*) FROM delivery WHERE state <> 'done'", {}) == 0; }
  std::string state_of_mail() const {
    const auto rows = gateway_.store().rows("SELECT value FROM record WHERE collection = 'mail_events'", {});
    return rows.empty() ? "" : json::parse(rows[0][0])["state"].get<std::string>();
  }
  int64_t events(const std::string& type) const { return gateway_.store().number("SELECT count(*) FROM event WHERE type = ?", {type}); }

  MailServer server_;
  SendgridKey key_;
  Gateway gateway_{options()};
};

json entry(const std::string& kind, const std::string& id, int64_t at, const std::string& message_id,
           const std::string& to = "ann@example.com") {
  return {{"email", to}, {"event", kind}, {"sg_event_id", id}, {"smtp-id", "<" + message_id + ">"}, {"timestamp", at}};
}

TEST_F(MailEventsTest, WhatBecameOfAMailIsInItsRecordOnce) {
  const std::string id = send();
  const json first = json::array({entry("processed", "p", 1'795'000'000, id), entry("delivered", "d", 1'795'000'002, id)});
  EXPECT_EQ(status_of(post_signed(first)), "queued");
  EXPECT_TRUE(eventually(kSoon, [&] { return state_of_mail() == "delivered"; })) << gateway().log();
  EXPECT_EQ(status_of(post_signed(first)), "duplicate_ignored") << "its signature is another one, its body the same";
  // The provider gives what it repeats another company.
  EXPECT_EQ(status_of(post_signed(
                json::array({first[1], entry("deferred", "f", 1'795'000'001, id), entry("spamreport", "s", 1'795'000'009, id)}))),
            "queued");
  EXPECT_TRUE(eventually(kSoon, [&] { return events("email.complained") == 1 && events("email.deferred") == 1; })) << gateway().log();
  EXPECT_EQ(events("email.delivered"), 1);
  EXPECT_EQ(events("smtp.inbound"), 2);
  EXPECT_TRUE(eventually(kSoon, [&] { return all_settled(); })) << gateway().log();
  EXPECT_EQ(state_of_mail(), "delivered");
}

// Ops' own mailbox is full: the mail about Ann's mail comes back, and the mail about that one would as well.
TEST_F(MailEventsTest, AMailThatBouncesDoesNotGoRound) {
  EXPECT_EQ(status_of(post_signed(json::array({entry("bounce", "a", 1'795'000'000, send())}))), "queued");
  std::string notification;
  EXPECT_TRUE(eventually(kSoon, [&] { return !(notification = message_id("email.bounced")).empty(); })) << gateway().log();
  EXPECT_THAT(server_.mails(), ElementsAre(R"(["ann@example.com"])", R"(["ops@example.com"])"));
  EXPECT_EQ(status_of(post_signed(json::array({entry("bounce", "b", 1'795'000'001, notification, "ops@example.com")}))), "queued");
  EXPECT_TRUE(eventually(kSoon, [&] { return events("email.bounced") == 2 && all_settled(); })) << gateway().log();
  EXPECT_EQ(server_.mails().size(), 2u);
  EXPECT_EQ(gateway().store().number("SELECT count(*) FROM record WHERE collection = 'mail_events'", {}), 2) << "it is known all the same";
}

TEST_F(MailEventsTest, VerifyExplainsASignature) {
  const std::string body = "[]\r\n", file = gateway().folder() + "/request";
  const auto verify = [&](const Headers& headers) {
    std::ofstream(file, std::ios::binary) << request_text("POST", kPath, headers, body);
    return gateway().command({"verify", "smtp", "--request", file});
  };
  const auto accepted = verify(key_.sign(unix_seconds(), body));
  EXPECT_EQ(accepted.exit.code, 0) << accepted.out << accepted.err;
  EXPECT_THAT(accepted.out, HasSubstr("public key 1: fits"));
  const auto rejected = verify(SendgridKey().sign(unix_seconds(), body));
  EXPECT_EQ(rejected.exit.code, 1) << rejected.out << rejected.err;
  EXPECT_THAT(rejected.out, HasSubstr("public key 1: does not fit"));
}

TEST_F(MailEventsTest, WhatSendgridDidNotSignIsRefused) {
  const std::string body = "[" + entry("bounce", "b", 1'795'000'000, "x@example.com").dump() + "]\r\n";
  const Headers right = key_.sign(unix_seconds(), body);
  const SendgridKey foreign;
  Headers twice = right;
  twice.push_back(right[1]);
  EXPECT_EQ(post({}, body).status, 401);
  EXPECT_EQ(post({right[0]}, body).status, 401);
  EXPECT_EQ(post({right[1]}, body).status, 401);
  EXPECT_EQ(post(twice, body).status, 401);
  EXPECT_EQ(post(foreign.sign(unix_seconds(), body), body).status, 401);
  EXPECT_EQ(post(key_.sign(unix_seconds(-400), body), body).status, 401);
  EXPECT_EQ(post(right, body.substr(0, body.size() - 2)).status, 401);
  EXPECT_EQ(events("smtp.inbound"), 0);
  EXPECT_EQ(status_of(post(right, body)), "queued") << "and it was none of the others' fault";
}

// The batch is durable, its events are not yet: none is lost, and none comes twice.
TEST_F(MailEventsTest, AKillAmidABatchLosesNothing) {
  constexpr int64_t kEntries = 10'000;
  json entries = json::array();
  for (int64_t i = 0; i < kEntries; ++i) entries.push_back({{"event", "open"}, {"sg_event_id", "o" + std::to_string(i)}});
  EXPECT_EQ(status_of(post_signed(entries)), "queued");
  EXPECT_TRUE(eventually(kSoon, [&] { return events("email.opened") > 0; }));
  gateway().kill();
  const int64_t before = events("email.opened");
  EXPECT_LT(before, kEntries) << "the kill came too late to show anything";
  gateway().start();
  EXPECT_TRUE(eventually(kSoon, [&] { return events("email.opened") >= kEntries; })) << before << " before\n" << gateway().log();
  EXPECT_EQ(gateway().store().number("SELECT count(DISTINCT external_id) FROM event WHERE type = 'email.opened'", {}), kEntries);
  EXPECT_EQ(events("email.opened"), kEntries);
}

}  // namespace
}  // namespace postern::testing
