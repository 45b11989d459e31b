// From an event to a mail: what people order, what the server makes of it, and what becomes of the delivery.
#include "tests/support/places.h"
#include "tests/unit/smtp/smtp_plugin.h"

namespace smtp_test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Smtp : public SmtpPluginTest {};

TEST_F(Smtp, MissingConfig) {
  const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/smtp.so"));
  FakeHost empty(*loaded.entry, {.name = "smtp"});
  const auto started = empty.start("{}");
  EXPECT_FALSE(started.ok());
  std::string told;
  for (const auto& fault : started.faults) told += fault.text + "\n";
  EXPECT_THAT(told, AllOf(HasSubstr("host is missing"), HasSubstr("from is missing")));
}

TEST_F(Smtp, AddressValidation) {
  serve_strictly("none");
  for (const char* wrong : {"", "ann", "ann@", "@example.com", "ann@example.com\r\nBcc: eve@example.com", "a b@example.com", "<ann@example.com"}) {
    const Settled settled = order(simple({{"to", wrong}}));
    EXPECT_EQ(settled.outcome, POSTERN_DEAD) << wrong;
    EXPECT_THAT(settled.why, HasSubstr("to")) << wrong;
    EXPECT_THAT(settled.why, Not(HasSubstr("eve"))) << "an error quotes nothing from outside";
  }
  EXPECT_EQ(order(simple({{"to", json::array()}})).outcome, POSTERN_DEAD) << "nobody";
  EXPECT_EQ(order(simple({{"bcc", {"ann@example.com", "nobody"}}})).outcome, POSTERN_DEAD) << "one of many";
  EXPECT_EQ(arrived(), 0u);
}

TEST_F(Smtp, Multipart) {
  serve_strictly("none");
  const Settled settled = order(simple({{"html", "<p>Hi</p><img src=\"cid:logo\">"},
                                        {"subject", "Grüße aus Köln"},
                                        {"cc", {"Bob <bob@example.com>"}},
                                        {"bcc", "carl@example.com"},
                                        {"reply_to", "office@example.com"},
                                        {"headers", {{"X-Campaign", "spring"}}},
                                        {"attachments", {{{"name", "größe.txt"}, {"content_type", "text/plain"}, {"content", encoded("five\n")}},
                                                         {{"name", "logo.png"}, {"content_type", "image/png"}, {"content", encoded("PNG")},
                                                          {"content_id", "logo"}}}}}));
  ASSERT_TRUE(settled.done()) << settled.why;
  ASSERT_EQ(arrived(), 1u);
  EXPECT_THAT(mail_server_->mails()[0]["to"], ElementsAre("ann@example.com", "bob@example.com", "carl@example.com"));
  const json read = mail();
  EXPECT_EQ(header(read, "Subject"), json({"Grüße aus Köln"}));
  EXPECT_EQ(header(read, "X-Campaign"), json({"spring"}));
  EXPECT_EQ(header(read, "Reply-To"), json({"office@example.com"}));
  EXPECT_EQ(header(read, "Bcc"), json::array());
  EXPECT_THAT(read.dump(), AllOf(HasSubstr("multipart/mixed"), HasSubstr("multipart/related"), HasSubstr("multipart/alternative"),
                                 HasSubstr("größe.txt"), Not(HasSubstr("carl"))));
}

TEST_F(Smtp, TimeOut) {
  serve({{{"greeting", "!hang"}}});
  const auto begun = steady_clock::now();
  const Settled settled = order(simple());
  EXPECT_EQ(settled.outcome, POSTERN_RETRY);
  EXPECT_THAT(settled.why, HasSubstr("time"));
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(8)) << "connect_timeout is 2 s";
}

TEST_F(Smtp, ErrorLogging) {
  serve({{{"replies", {{"RCPT", "550 5.1.1 no such user here"}}}}});
  const Settled settled = order(simple());
  EXPECT_EQ(settled.outcome, POSTERN_DEAD) << "for good";
  EXPECT_THAT(settled.why, AllOf(HasSubstr("550"), HasSubstr("no such user here")));
}

TEST_F(Smtp, AnAttachmentOf25Megabytes) {
  serve_strictly("none");
  const std::string bytes(25'000'000, 'x');
  const Settled settled = order(simple({{"attachments", {{{"name", "big.bin"}, {"content", encoded(bytes)}}}}}));
  ASSERT_TRUE(settled.done()) << settled.why;
  ASSERT_EQ(arrived(), 1u);
  EXPECT_GT(decoded(mail_server_->mails()[0]["content"]).size(), bytes.size() * 4 / 3);
}

TEST_F(Smtp, ATemplateOfTheConfiguration) {
  serve_strictly("none");
  const Settled settled = order({{"to", "ann@example.com"}, {"template", "welcome"}, {"data", {{"name", "Ann & <Co>"}}}});
  ASSERT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(header(mail(), "Subject"), json({"Welcome, Ann & <Co>"}));
  EXPECT_THAT(mail().dump(), AllOf(HasSubstr("Hello Ann & <Co>"), HasSubstr("Hello Ann &amp; &lt;Co&gt;")));
  EXPECT_THAT(order({{"to", "ann@example.com"}, {"template", "nothing"}}).why, HasSubstr("template"));
}

TEST_F(Smtp, WhatIsNoOrderIsDead) {
  serve_strictly("none");
  for (const json& wrong : {json("text"), json::array(), json::object(), simple({{"too", "x"}}), simple({{"subject", 7}}),
                            simple({{"subject", "a\nX-Evil: 1"}}), simple({{"headers", {{"X-A", "b\r\nX-Evil: 1"}}}}), simple({{"headers", 1}}),
                            simple({{"headers", {{"X A", "b"}}}}), simple({{"attachments", 1}}), simple({{"attachments", {1}}}),
                            simple({{"attachments", {{{"name", "a"}}}}}), simple({{"attachments", {{{"name", "a"}, {"content", "***"}}}}}),
                            simple({{"attachments", {{{"name", "a\r\nb"}, {"content", ""}}}}})}) {
    const Settled settled = order(wrong);
    EXPECT_EQ(settled.outcome, POSTERN_DEAD) << wrong;
    EXPECT_THAT(settled.why, Not(IsEmpty())) << wrong;
  }
  EXPECT_EQ(deliver({.type = "smtp.send", .body = "no JSON"}).outcome, POSTERN_DEAD);
  EXPECT_EQ(arrived(), 0u);
}

TEST_F(Smtp, TheResultAndTheRecordNameEachRecipient) {
  serve({{{"replies", {{"RCPT TO:<eve", "550 unknown"}}}}});
  const Settled settled = order(simple({{"to", {"ann@example.com", "eve@example.com"}}}));
  ASSERT_TRUE(settled.done()) << settled.why;
  const json result = json::parse(settled.result);
  EXPECT_EQ(result["recipients"]["ann@example.com"]["state"], "accepted");
  EXPECT_EQ(result["recipients"]["eve@example.com"]["state"], "refused");
  EXPECT_EQ(result["recipients"]["eve@example.com"]["code"], 550);
  const auto records = host().records();
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records.begin()->first.first, "mails");
  EXPECT_THAT(result["message_id"].get<std::string>(), ::testing::EndsWith("." + records.begin()->first.second + "@example.com"));
}

// One recipient is refused for now: the other is not mailed twice.
TEST_F(Smtp, WhoHasItIsNotMailedAgain) {
  serve({{{"replies", {{"RCPT TO:<eve", "450 try later"}}}, {"after_mail", "!drop"}}, json::object()});  // the second connection takes her
  const Event event{.type = "smtp.send", .body = simple({{"to", {"ann@example.com", "eve@example.com"}}}).dump()};
  const Settled pending = host().deliver(event);
  ASSERT_EQ(pending.outcome, POSTERN_PENDING);
  auto noted = [&] { return host().published().back().type == "smtp.progress"; };
  ASSERT_TRUE(postern::testing::eventually(milliseconds(10'000), noted));
  host().run_published();
  const Settled first = host().await(pending.delivery);
  EXPECT_EQ(first.outcome, POSTERN_RETRY);
  EXPECT_THAT(first.why, AllOf(HasSubstr("1 of 2"), HasSubstr("450")));
  const Settled second = again(first);
  ASSERT_TRUE(second.done()) << second.why;
  const auto mails = mail_server_->mails();
  ASSERT_THAT(mails, SizeIs(2));
  EXPECT_THAT(mails[0]["to"], ElementsAre("ann@example.com"));
  EXPECT_THAT(mails[1]["to"], ElementsAre("eve@example.com"));
  for (const char* address : {"ann@example.com", "eve@example.com"}) {
    EXPECT_EQ(json::parse(second.result)["recipients"][address]["state"], "accepted");
  }
}

// First for now, then for good: the delivery ends as if the server had said so at once.
TEST_F(Smtp, WhoIsRefusedLaterThanTheOthersWereTaken) {
  serve({{{"replies", {{"RCPT TO:<eve", "450 try later"}}}, {"after_mail", "!drop"}}, {{"replies", {{"RCPT TO:<eve", "550 unknown"}}}}});
  const Event event{.type = "smtp.send", .body = simple({{"to", {"ann@example.com", "eve@example.com"}}}).dump()};
  const Settled pending = host().deliver(event);
  ASSERT_EQ(pending.outcome, POSTERN_PENDING);
  auto noted = [&] { return host().published().back().type == "smtp.progress"; };
  ASSERT_TRUE(postern::testing::eventually(milliseconds(10'000), noted));
  host().run_published();
  const Settled second = again(host().await(pending.delivery));
  ASSERT_TRUE(second.done()) << second.why;
  const json recipients = json::parse(second.result)["recipients"];
  EXPECT_EQ(recipients["ann@example.com"]["state"], "accepted");
  EXPECT_EQ(recipients["eve@example.com"]["state"], "refused");
  EXPECT_EQ(arrived(), 1u);
}

// A note of an earlier attempt that comes when a later one has written already.
TEST_F(Smtp, ALateNoteTakesNothingBack) {
  serve_strictly("none");
  const Settled settled = order(simple());
  ASSERT_TRUE(settled.done()) << settled.why;
  const std::string key = host().records().begin()->first.second;
  const json said = {{"ann@example.com", {{"state", "waiting"}}}, {"bob@example.com", {{"state", "accepted"}}}};
  const json late = {{"key", key}, {"record", {{"recipients", said}}}};
  ASSERT_TRUE(deliver({.type = "smtp.progress", .body = late.dump()}).done());
  const json recipients = json::parse(host().record("mails", key)->json)["recipients"];
  EXPECT_EQ(recipients["ann@example.com"]["state"], "accepted");
  EXPECT_EQ(recipients["bob@example.com"]["state"], "accepted");
}

TEST_F(Smtp, TheSameMessageIdOverRetries) {
  serve({{{"replies", {{".", "451 later"}}}}, json::object()});
  const Settled first = order(simple());
  ASSERT_EQ(first.outcome, POSTERN_RETRY) << first.why;
  Settled second = again(first);
  if (second.outcome == POSTERN_RETRY) second = again(first);
  const auto mails = mail_server_->mails();
  ASSERT_GE(mails.size(), 2u);
  const json one = header(read_with_python(decoded(mails[0]["content"])), "Message-ID");
  EXPECT_EQ(one, header(read_with_python(decoded(mails.back()["content"])), "Message-ID"));
  EXPECT_EQ(decoded(mails[0]["content"]), decoded(mails.back()["content"])) << "the date too";
}

TEST_F(Smtp, ARefusedLoginIsTriedAgainAndShownByTheHealthCheck) {
  serve({{{"capabilities", {"AUTH PLAIN"}}, {"replies", {{"challenge", "535 5.7.8 bad credentials"}}}}});
  log_in();
  const Settled first = order(simple());
  EXPECT_EQ(first.outcome, POSTERN_RETRY) << "so that the breaker opens";
  EXPECT_THAT(first.why, HasSubstr("535"));
  const size_t logins = mail_server_->count("AUTH");
  const Settled second = order(simple());
  EXPECT_EQ(second.outcome, POSTERN_POSTPONE) << "nobody asks the server meanwhile";
  EXPECT_EQ(mail_server_->count("AUTH"), logins);
  const auto health = host().health();
  EXPECT_EQ(health.at(0).status, uint32_t{POSTERN_UNHEALTHY});
  EXPECT_THAT(health.at(0).details_json, AllOf(HasSubstr("535"), Not(HasSubstr(kPassword))));
}

// libcurl has STARTTLS demanded: nothing follows where the server has none.
TEST_F(Smtp, NoStartTlsNoMail) {
  serve({{{"capabilities", {"AUTH PLAIN"}}}}, "none");
  server_.tls = Tls::kStartTls;
  server_.host = "localhost";
  log_in();
  const Settled settled = order(simple());
  EXPECT_EQ(settled.outcome, POSTERN_RETRY);
  EXPECT_EQ(arrived(), 0u);
  expect_no_secret_in_clear();
}

TEST_F(Smtp, ADeliveryLastsAsLongAsAMailMay) {
  serve_strictly("none");
  const auto policy = host().policy();
  EXPECT_GE(policy.deadline_ms, 5'000u + 60'000u) << "the mail's deadline, and the reply to the final dot";
  EXPECT_GE(policy.attempts, 10u);
}

// ---- subscriptions

class SmtpNotification : public SmtpPluginTest {
 protected:
  Settled notify(const json& with, const Event& event = {.type = "openphone.message.received",
                                                          .body = R"({"from":"+1 415","text":"<b>Hi</b>","tags":["a","b"]})",
                                                          .provider = "openphone"}) {
    Event given = event;
    given.with = with.dump();
    return deliver(given);
  }
};

TEST_F(SmtpNotification, WithTemplatesOfItsOwn) {
  serve_strictly("none");
  const Settled settled = notify({{"to", "office@example.com"},
                                  {"subject", "SMS from {{event.data.from}}"},
                                  {"html", "<p>{{event.data.text}}</p>"},
                                  {"text", "{{event.type}}: {{event.data.text}}"}});
  ASSERT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(header(mail(), "Subject"), json({"SMS from +1 415"}));
  EXPECT_THAT(mail().dump(), AllOf(HasSubstr("<p>&lt;b&gt;Hi&lt;/b&gt;</p>"), HasSubstr("openphone.message.received: <b>Hi</b>")));
}

TEST_F(SmtpNotification, WithOnlyToItListsTheEvent) {
  serve_strictly("none");
  ASSERT_TRUE(notify({{"to", "office@example.com"}}).done());
  EXPECT_EQ(header(mail(), "Subject"), json({"openphone.message.received"}));
  EXPECT_THAT(mail().dump(), AllOf(HasSubstr("from: +1 415"), HasSubstr("tags[1]: b")));
}

TEST_F(SmtpNotification, AFormAndAnAddressFromTheEvent) {
  serve_strictly("none");
  const Settled settled = notify({{"to", "{{event.data.email}}"}, {"subject", "{{event.data.Body}}"}},
                                 {.type = "twilio.sms", .body = "Body=Hello+you%0Athere&email=ann%40example.com&Body=second",
                                  .headers = {{"Content-Type", "application/x-www-form-urlencoded"}}, .provider = "twilio"});
  ASSERT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(header(mail(), "Subject"), json({"Hello you there"}));
  EXPECT_THAT(mail_server_->mails()[0]["to"], ElementsAre("ann@example.com"));
  EXPECT_EQ(notify({{"to", "{{event.data.email}}"}}).outcome, POSTERN_DEAD) << "nobody to mail";
}

TEST_F(SmtpNotification, WhatIsWrongIsToldAtTheStart) {
  serve_strictly("none");
  static const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/smtp.so"));
  auto faults = [&](const json& with) {
    FakeHost checked(*loaded.entry,
                     {.name = "smtp", .subscriptions = {{"first", "a.*", R"({"to":"a@b.example"})"}, {"second", "b.*", with.dump()}}});
    std::vector<std::string> told;
    for (const auto& fault : checked.start(config().dump()).faults) {
      EXPECT_EQ(fault.subscription, 1u);
      told.push_back(fault.pointer + " " + fault.text);
    }
    return told;
  };
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"subject", "{{event.type}}"}, {"template", "welcome"}}), IsEmpty());
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"attachments", {{{"name", "a.txt"}, {"content", ""}}}}}), IsEmpty());
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"attachments", "a.txt"}}), ElementsAre(HasSubstr("/attachments")));
  EXPECT_THAT(faults(json::object()), ElementsAre(HasSubstr("needs `to`")));
  EXPECT_THAT(faults({{"to", "nobody"}}), ElementsAre(HasSubstr("/to to")));
  EXPECT_THAT(faults({{"to", {"a@b.example", "{{#event}}"}}}), ElementsAre(HasSubstr("/to to line 1")));
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"text", "x\n{{#open}}"}}),
              ElementsAre("/text text is no template: line 2, column 1: the section 'open' is not closed"));
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"template", "wellcome"}}), ElementsAre(HasSubstr("/template template is none")));
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"sujet", "x"}}), ElementsAre(HasSubstr("unknown key 'sujet'; did you mean 'subject'?")));
  EXPECT_THAT(faults({{"to", "a@b.example"}, {"headers", {{"X", 1}}}}), ElementsAre(HasSubstr("/headers")));
}

// ---- the route

class SmtpApi : public SmtpPluginTest {
 protected:
  static constexpr const char* kApiToken = "0123456789abcdef0123";
};

TEST_F(SmtpApi, OnlyWithATokenOfTheConfiguration) {
  serve_strictly("none");
  host({{"api", {{"tokens", {kApiToken, "another-token-of-16"}}}}});
  auto verified = [&](std::vector<std::pair<std::string, std::string>> headers) {
    return host().verify("bearer", {.target = "/api/v1/email/send", .headers = std::move(headers), .body = "{}"}).genuine();
  };
  EXPECT_TRUE(verified({{"Authorization", std::string("Bearer ") + kApiToken}}));
  EXPECT_TRUE(verified({{"Authorization", "bearer another-token-of-16"}}));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer 0123456789abcdef012", "Bearer 0123456789abcdef01234", "Basic 0123456789abcdef0123"}) {
    EXPECT_FALSE(verified({{"Authorization", wrong}})) << wrong;
  }
  EXPECT_FALSE(verified({}));
}

TEST_F(SmtpApi, WithoutTokensThereIsNoRoute) {
  serve_strictly("none");
  EXPECT_THAT(host().routes(), IsEmpty());
}

TEST_F(SmtpApi, AnOrderOfTheRouteIsMailed) {
  serve_strictly("none");
  host({{"api", {{"tokens", {kApiToken}}}}});
  ASSERT_THAT(host().routes(), SizeIs(1));
  EXPECT_EQ(host().routes()[0].path, "/api/v1/email/send");
  const Settled settled = deliver({.type = "smtp.send", .body = simple().dump()});
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(arrived(), 1u);
}

}  // namespace
}  // namespace smtp_test
