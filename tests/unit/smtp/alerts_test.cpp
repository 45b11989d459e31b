// What the gateway tells of itself becomes mails, few of them; the daily report; and old records go.
#include "smtp/alerts.h"

#include "smtp/digest.h"
#include "smtp/moments.h"
#include "tests/unit/smtp/smtp_plugin.h"

namespace smtp_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kHour = 3'600'000;

class SmtpAlerts : public SmtpPluginTest {
 protected:
  void SetUp() override {
    server_.host = "127.0.0.1";  // nobody is there, and nobody is asked
    server_.port = 1;
    server_.tls = Tls::kNone;
  }
  FakeHost& alerting(const json& more = json::object()) {
    json alerts = {{"to", "ops@example.com"}, {"gather", "1s"}, {"interval", "10m"}};
    alerts.update(more);
    return host({{"alerts", alerts}});
  }
  Settled tell(const std::string& type, const json& body) {
    return host().deliver({.type = type, .body = body.dump(), .provider = "postern"});
  }
  Settled dead(const std::string& error = "the CRM answers 500", const std::string& plugin = "crm") {
    return tell("postern.delivery.dead", {{"type", "openphone.message.received"}, {"plugin", plugin}, {"subscriber", "handlers"},
                                          {"event_id", "evt_1"}, {"last_error", error}});
  }
  std::optional<postern::testing::DurableTimer> timer(const std::string& name) {
    for (const auto& one : host().timers()) {
      if (one.name == name) return one;
    }
    return std::nullopt;
  }
  // What was ordered to be mailed since the last time.
  std::vector<json> orders() {
    std::vector<json> all;
    const auto emitted = host().emitted();
    for (; seen_ < emitted.size(); ++seen_) {
      if (emitted[seen_].type == "smtp.send") all.push_back(json::parse(emitted[seen_].body));
    }
    return all;
  }

 private:
  size_t seen_ = 0;
};

TEST_F(SmtpAlerts, WhatComesTogetherIsOneMailWithCounts) {
  alerting();
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(dead("error " + std::to_string(i)).done());
  ASSERT_TRUE(tell("postern.breaker.opened", {{"plugin", "crm"}, {"upstream", "api"}, {"last_error", "timed out"}}).done());
  ASSERT_TRUE(tell("postern.backlog.high", {{"waiting", 5000}, {"max_waiting", 1000}}).done());
  ASSERT_TRUE(tell("postern.plugin.quarantined", {{"plugin", "twilio"}, {"crashes", 5}, {"last_crash", "SIGSEGV in handlers"}}).done());
  EXPECT_THAT(orders(), IsEmpty()) << "not before the timer";
  ASSERT_TRUE(timer("alerts.due"));
  EXPECT_EQ(timer("alerts.due")->delay_ms, 1'000);
  ASSERT_TRUE(host().fire("alerts.due").done());
  const auto mails = orders();
  ASSERT_THAT(mails, SizeIs(1));
  EXPECT_EQ(mails[0]["to"], json({"ops@example.com"}));
  EXPECT_EQ(mails[0]["subject"], "Postern: 12 dead deliveries, 1 open breaker, 1 high backlog, 1 plugin in quarantine");
  EXPECT_THAT(mails[0]["text"].get<std::string>(),
              AllOf(HasSubstr("12 × dead deliveries: openphone.message.received for crm/handlers"), HasSubstr("error 11"), HasSubstr("evt_1"),
                    HasSubstr("crm, upstream api"), HasSubstr("5000 wait, the limit is 1000"), HasSubstr("5 crashes, the last: SIGSEGV"),
                    HasSubstr("postern plugins release")));
}

TEST_F(SmtpAlerts, OneMailAnIntervalAtMost) {
  alerting();
  ASSERT_TRUE(dead().done());
  ASSERT_TRUE(host().fire("alerts.due").done());
  EXPECT_THAT(orders(), SizeIs(1));
  ASSERT_TRUE(dead().done());
  ASSERT_TRUE(timer("alerts.due"));
  EXPECT_GT(timer("alerts.due")->delay_ms, 9 * 60'000) << "the interval, since the last mail";
  ASSERT_TRUE(dead().done());
  ASSERT_TRUE(host().fire("alerts.due").done());
  const auto mails = orders();
  ASSERT_THAT(mails, SizeIs(1));
  EXPECT_EQ(mails[0]["subject"], "Postern: 2 dead deliveries") << "the first ones were mailed before";
  EXPECT_FALSE(timer("alerts.due"));
}

TEST_F(SmtpAlerts, NeverAboutItsOwnMail) {
  alerting();
  ASSERT_TRUE(dead("550", "smtp").done());
  ASSERT_TRUE(tell("postern.breaker.opened", {{"plugin", "smtp"}, {"subscriber", "send"}}).done());
  EXPECT_FALSE(timer("alerts.due"));
  EXPECT_TRUE(host().emitted().empty());
}

TEST_F(SmtpAlerts, ItsNameIsTheOneOfTheConfiguration) {
  host({{"alerts", {{"to", "ops@example.com"}}}}, {.name = "mailer"});
  ASSERT_TRUE(dead("550", "mailer").done());
  EXPECT_FALSE(timer("alerts.due"));
  ASSERT_TRUE(dead("550", "smtp").done());
  ASSERT_TRUE(host().fire("alerts.due").done());
  EXPECT_EQ(host().emitted().back().type, "mailer.send");
}

TEST_F(SmtpAlerts, OnlyThoseThatAreWanted) {
  alerting({{"on", {"postern.backlog.high"}}});
  EXPECT_FALSE(dead().handled);
  EXPECT_TRUE(tell("postern.backlog.high", {{"waiting", 2}, {"max_waiting", 1}}).done());
}

TEST_F(SmtpAlerts, ManyCausesAreBounded) {
  alerting();
  for (int i = 0; i < 60; ++i) {
    const json breaker = {{"plugin", "p" + std::to_string(i)}, {"subscriber", "handlers"}, {"last_error", std::string(5'000, 'e')}};
    ASSERT_TRUE(tell("postern.breaker.opened", breaker).done());
  }
  ASSERT_TRUE(host().fire("alerts.due").done());
  const auto mails = orders();
  ASSERT_THAT(mails, SizeIs(1));
  const std::string text = mails[0]["text"];
  EXPECT_THAT(text, HasSubstr("and 10 more of other causes"));
  EXPECT_LT(text.size(), 50'000u);
}

TEST_F(SmtpAlerts, HtmlIsEscaped) {
  alerting();
  ASSERT_TRUE(dead("<script>alert(1)</script>").done());
  ASSERT_TRUE(host().fire("alerts.due").done());
  const auto mails = orders();
  ASSERT_THAT(mails, SizeIs(1));
  EXPECT_THAT(mails[0]["html"].get<std::string>(), AllOf(HasSubstr("&lt;script&gt;"), Not(HasSubstr("<script>"))));
  EXPECT_THAT(mails[0]["text"].get<std::string>(), HasSubstr("<script>"));
}

TEST_F(SmtpAlerts, ATimerThatIsLostIsSetAgain) {
  alerting();
  const json group = {{"type", "delivery.dead"}, {"what", "x"}, {"count", 1}, {"first_at", 1}, {"last_at", 1}, {"detail", ""}, {"event", ""}};
  host().set_record("alerts", "gathered", json{{"groups", json::array({group})}, {"due_at", smtp::unix_ms() - kHour}}.dump());
  ASSERT_TRUE(dead().done());
  EXPECT_TRUE(timer("alerts.due"));
}

// ---- the daily report

class SmtpDigest : public SmtpAlerts {
 protected:
  FakeHost& reporting(const json& more = json::object()) {
    json digest = {{"to", {"boss@example.com"}}, {"at", "07:30"}};
    digest.update(more);
    return host({{"digest", digest}});
  }
};

TEST_F(SmtpDigest, EachDayOneOfWhatCameSince) {
  reporting();
  host().set_report({{"openphone", 1'200, 1'190, 3, 7, 95'000, "evt_9", "openphone.call.completed"},
                     {"<twilio>", 300, 600, 0, 0, 850, "evt_8", "sms"}});
  host().run_published();
  ASSERT_TRUE(timer("digest.due"));
  const int64_t before = smtp::unix_ms();
  const int64_t due = smtp::next_time_of_day(before, 7 * 60 + 30);
  EXPECT_NEAR(static_cast<double>(timer("digest.due")->delay_ms), static_cast<double>(due - before), 5'000);
  ASSERT_TRUE(host().fire("digest.due").done());
  auto mails = orders();
  ASSERT_THAT(mails, SizeIs(1));
  EXPECT_EQ(mails[0]["to"], json({"boss@example.com"}));
  EXPECT_EQ(mails[0]["subject"], "Postern: 1500 events, 3 dead deliveries");
  EXPECT_THAT(mails[0]["text"].get<std::string>(),
              AllOf(HasSubstr("openphone\n    1200 received, 1190 handled, 3 dead, 7 waiting"),
                    HasSubstr("slowest: 95.0 s, openphone.call.completed (evt_9)"),
                    HasSubstr("slowest: 850 ms")));
  EXPECT_THAT(mails[0]["html"].get<std::string>(),
              AllOf(HasSubstr("width=\"160\" height"), HasSubstr("width=\"40\" height"), HasSubstr("&lt;twilio&gt;"), Not(HasSubstr("<twilio>"))));
  ASSERT_TRUE(timer("digest.due")) << "the next day's";
  ASSERT_TRUE(host().fire("digest.due").done());
  const auto asked = host().reports();
  ASSERT_THAT(asked, SizeIs(2));
  EXPECT_EQ(asked[0].second - asked[0].first, 24 * kHour);
  EXPECT_EQ(asked[1].first, asked[0].second) << "no event twice, none left out";
}

TEST_F(SmtpDigest, ADayWithoutEvents) {
  reporting();
  host().run_published();
  ASSERT_TRUE(host().fire("digest.due").done());
  EXPECT_EQ(orders().at(0)["subject"], "Postern: 0 events, 0 dead deliveries");
}

TEST_F(SmtpDigest, WhatIsDueStandsOverARestart) {
  host({{"digest", {{"to", "boss@example.com"}, {"at", "07:30"}}}});
  const json plan = {{"at", 450}, {"due", smtp::unix_ms() - kHour}, {"until", 5}};
  host().set_record("digest", "plan", plan.dump());
  host().run_published();
  EXPECT_EQ(json::parse(host().record("digest", "plan")->json), plan) << "its timer comes by itself, though late";
  host().set_record("digest", "plan", json{{"at", 60}, {"due", smtp::unix_ms() + kHour}}.dump());
  EXPECT_TRUE(host().deliver({.type = "smtp.digest.plan"}).done());
  EXPECT_TRUE(timer("digest.due")) << "another time of day";
}

TEST_F(SmtpDigest, WithoutOneATimerFromBeforeDoesNothing) {
  host();
  host().set_record("digest", "plan", R"({"at":450,"due":1})");
  ASSERT_TRUE(host().deliver({.type = "digest.due"}).done());
  EXPECT_THAT(orders(), IsEmpty());
  EXPECT_FALSE(host().record("digest", "plan"));
}

TEST_F(SmtpDigest, TheTimeOfDayIsLocalAndNeverInThePast) {
  for (const char* zone : {"UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia"}) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    for (int64_t at = 1'711'700'000'000; at < 1'711'700'000'000 + 4 * 24 * kHour; at += 997'000) {  // over the night of 2024-03-31
      const int64_t next = smtp::next_time_of_day(at, 2 * 60 + 30);
      EXPECT_GT(next, at) << zone;
      EXPECT_LE(next - at, 25 * kHour) << zone;
    }
  }
  ::unsetenv("TZ");
  ::tzset();
}

// ---- records

TEST_F(SmtpAlerts, OldRecordsOfMailsGo) {
  host();
  host().run_published();
  ASSERT_TRUE(timer("upkeep.due"));
  const int64_t now = smtp::unix_ms(), old = now - 31 * 24 * kHour;
  auto record = [&](const std::string& key, const json& value) { host().set_record("mails", key, value.dump()); };
  record("dlv_1", {{"sent_at", old}, {"recipients", {{"a@b", {{"state", "accepted"}, {"at", old}}}}}});
  record("dlv_2", {{"sent_at", now}, {"recipients", json::object()}});
  record("dlv_3", {{"recipients", {{"a@b", {{"state", "waiting"}, {"at", now}}}}}});
  record("dlv_4", {{"sent_at", old}, {"recipients", {{"a@b", {{"state", "bounced"}, {"at", now - kHour}}}}}});
  host().set_record("mails", "dlv_5", "no JSON");
  ASSERT_TRUE(host().fire("upkeep.due").done());
  std::vector<std::string> left;
  for (const auto& [key, value] : host().records()) {
    if (key.first == "mails") left.push_back(key.second);
  }
  EXPECT_THAT(left, ElementsAre("dlv_2", "dlv_3", "dlv_4"));
  ASSERT_TRUE(timer("upkeep.due")) << "again tomorrow";
  EXPECT_EQ(timer("upkeep.due")->delay_ms, 24 * kHour);
}

TEST_F(SmtpAlerts, ManyOldRecordsGoInSteps) {
  host();
  host().run_published();
  for (int i = 0; i < 1'200; ++i) host().set_record("mails", "dlv_" + std::to_string(i), R"({"sent_at":1,"recipients":{}})");
  size_t rounds = 0;
  for (; rounds < 10 && host().fire("upkeep.due").done(); ++rounds) {
    if (timer("upkeep.due")->delay_ms == 24 * kHour) break;
    EXPECT_LE(timer("upkeep.due")->delay_ms, 1'000);
  }
  EXPECT_EQ(rounds, 2u);
  for (const auto& [key, value] : host().records()) EXPECT_NE(key.first, "mails");
}

}  // namespace
}  // namespace smtp_test
