// Mails on their way: to a server that is not ours, and what becomes of them when all goes well.
#include <gmock/gmock.h>

#include "tests/unit/smtp/mail_server.h"

namespace smtp_test {
namespace {

using postern::testing::eventually;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class SmtpTransport : public TransportTest {};

TEST_F(SmtpTransport, AMailArrivesAsItWasComposed) {
  serve_strictly("starttls", {{"user", kUser}, {"password", kPassword}});
  log_in();
  Draft mail = to({"Ann <ann@example.com>", "bob@example.com"});
  mail.bcc = {smtp::parse_mailbox("bcc", "carl@example.com")};
  mail.text = ".\n..two dots\nfrom a\rb\n" + std::string(3'000, 'x');
  mail.html = "<p>Grüße</p>";
  const Outcome outcome = send(mail);
  EXPECT_EQ(outcome.result, Class::kDone) << outcome.text;
  EXPECT_EQ(outcome.code, 250);
  ASSERT_THAT(outcome.recipients, SizeIs(3));
  for (const auto& one : outcome.recipients) EXPECT_EQ(one.result, Class::kDone);
  const auto mails = mail_server_->mails();
  ASSERT_THAT(mails, SizeIs(1));
  EXPECT_EQ(mails[0]["from"], "postern@example.com");
  EXPECT_EQ(mails[0]["to"], json({"ann@example.com", "bob@example.com", "carl@example.com"}));
  EXPECT_EQ(mails[0]["tls"], true);
  EXPECT_EQ(mails[0]["mechanism"], "PLAIN");
  EXPECT_EQ(mails[0]["ehlo"], "gateway.example.com");
  const std::string content = decoded(mails[0]["content"]);
  const json read = read_with_python(content);
  EXPECT_EQ(read["body"]["parts"][0]["text"], ".\n..two dots\nfrom a\nb\n" + std::string(3'000, 'x'));
  EXPECT_EQ(content.find("carl"), std::string::npos);
}

TEST_F(SmtpTransport, ImplicitTlsAndLogin) {
  serve_strictly("implicit", {{"user", kUser}, {"password", kPassword}, {"without", {"PLAIN"}}});
  log_in();
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kDone) << outcome.text;
  ASSERT_THAT(mail_server_->mails(), SizeIs(1));
  EXPECT_EQ(mail_server_->mails()[0]["mechanism"], "LOGIN");
}

TEST_F(SmtpTransport, ALargeMailArrivesWhole) {
  serve_strictly("starttls");
  const Folder folder;
  std::string content;
  for (int i = 0; i < 8'000'000; ++i) content += static_cast<char>(i * 31 + i / 997);
  Draft mail = draft();
  mail.attachments = {smtp::Attachment{"big.bin", "", "", folder.file("big.bin", content), ""}};
  const auto message = Message::compose(mail);
  const Outcome outcome = send(mail);
  EXPECT_EQ(outcome.result, Class::kDone) << outcome.text;
  const auto mails = mail_server_->mails();
  ASSERT_THAT(mails, SizeIs(1));
  EXPECT_EQ(decoded(mails[0]["content"]).size(), message->size());
  EXPECT_EQ(mails[0]["options"], json({"SIZE=" + std::to_string(message->size())}));
}

TEST_F(SmtpTransport, AddressesBeyondAsciiNeedAServerThatTakesThem) {
  serve_strictly("none", {{"smtputf8", true}});
  EXPECT_EQ(send(to({"用户@例え.example"})).result, Class::kDone);
  ASSERT_THAT(mail_server_->mails(), SizeIs(1));
  EXPECT_EQ(mail_server_->mails()[0]["to"], json({"用户@xn--r8jz45g.example"}));
  transport_.reset();
  serve_strictly("none");
  const Outcome outcome = send(to({"用户@例え.example", "ann@example.com"}));
  EXPECT_EQ(outcome.result, Class::kPermanent);
  EXPECT_THAT(outcome.text, HasSubstr("SMTPUTF8"));
  EXPECT_EQ(outcome.recipients[1].result, Class::kPermanent);
  EXPECT_THAT(mail_server_->mails(), SizeIs(0));
}

TEST_F(SmtpTransport, ATokenIsSentAsXoauth2) {
  serve({{{"capabilities", {"AUTH PLAIN LOGIN XOAUTH2"}}}}, "starttls");
  server_.user = kUser;
  server_.access_token = kToken;
  EXPECT_EQ(send().result, Class::kDone);
  EXPECT_EQ(mail_server_->count("AUTH XOAUTH2"), 1u);
  EXPECT_EQ(mail_server_->count(encoded(std::string("user=") + kUser + "\1auth=Bearer " + kToken + "\1\1")), 1u);
}

TEST_F(SmtpTransport, ARefusedTokenIsARefusedLogin) {
  serve({{{"capabilities", {"AUTH XOAUTH2"}}, {"replies", {{"challenge", "334 eyJzdGF0dXMiOiI0MDAifQ==\r\n535 5.7.8 bad token"}}}}},
        "starttls");
  server_.user = kUser;
  server_.access_token = kToken;
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kAuth) << outcome.text;
}

TEST_F(SmtpTransport, OnlyAllowedMechanismsAreUsed) {
  serve({{{"capabilities", {"AUTH LOGIN PLAIN"}}}}, "starttls");
  log_in();
  server_.mechanisms = {"LOGIN"};
  EXPECT_EQ(send().result, Class::kDone);
  EXPECT_EQ(mail_server_->count("AUTH LOGIN"), 1u);
  transport_.reset();
  serve({{{"capabilities", {"AUTH CRAM-MD5 GSSAPI"}}}}, "starttls");
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kAuth);
  EXPECT_THAT(outcome.text, HasSubstr("none of the allowed AUTH mechanisms"));
}

TEST_F(SmtpTransport, AServerWithoutAuthIsNotGivenMailsOfAUser) {
  serve({{{"capabilities", {"SIZE 1000", "AUTHORITY"}}}}, "starttls");
  log_in();
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kAuth);
  EXPECT_THAT(outcome.text, HasSubstr("offers no AUTH"));
  EXPECT_EQ(mail_server_->count("MAIL"), 0u);
}

TEST_F(SmtpTransport, EachRecipientHasItsOwnOutcome) {
  serve({{{"replies",
           {{"RCPT TO:<gone@", "550 5.1.1 no such user"},
            {"RCPT TO:<busy@", "450 4.2.1 mailbox busy"},
            {"RCPT TO:<full@", "552 too many recipients"}}}}});
  const Outcome outcome = send(to({"ann@example.com", "gone@example.com", "busy@example.com", "full@example.com", "bob@example.com"}));
  EXPECT_EQ(outcome.result, Class::kDone);
  std::vector<Class> classes;
  for (const auto& one : outcome.recipients) classes.push_back(one.result);
  EXPECT_THAT(classes, ElementsAre(Class::kDone, Class::kPermanent, Class::kTransient, Class::kTransient, Class::kDone));
  EXPECT_EQ(outcome.recipients[1].address, "gone@example.com");
  EXPECT_EQ(outcome.recipients[1].text, "RCPT: 550 5.1.1 no such user");
  EXPECT_EQ(mail_server_->mails().at(0)["to"], json({"ann@example.com", "bob@example.com"}));
}

TEST_F(SmtpTransport, NobodyIsMailedWhenAllAreRefused) {
  serve({{{"replies", {{"RCPT TO:<gone@", "550 no"}, {"RCPT TO:<busy@", "450 busy"}}}}});
  Outcome outcome = send(to({"gone@example.com", "gone@example.org"}));
  EXPECT_EQ(outcome.result, Class::kPermanent);
  EXPECT_EQ(outcome.code, 550);
  outcome = send(to({"busy@example.com", "gone@example.org"}));
  EXPECT_EQ(outcome.result, Class::kTransient) << "there is hope for one";
  EXPECT_EQ(outcome.recipients[1].result, Class::kPermanent);
  EXPECT_EQ(mail_server_->count("DATA"), 0u);
}

TEST_F(SmtpTransport, AConnectionIsKeptForTheNextMail) {
  serve({json::object()}, "starttls");
  log_in();
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send().result, Class::kDone);
  EXPECT_EQ(mail_server_->events("connected"), 1u);
  EXPECT_EQ(mail_server_->count("AUTH"), 1u);
  transport_.reset();
  EXPECT_TRUE(eventually(milliseconds(3'000), [&] { return mail_server_->count("QUIT") == 1; })) << "it says goodbye";
  EXPECT_THAT(mail_server_->mails(), SizeIs(10));
}

TEST_F(SmtpTransport, ASlowFinalReplyHoldsUpNobodyElse) {
  serve({{{"delays", {{".", 0.8}}}}});
  server_.connections = 4;
  const auto began = steady_clock::now();
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 8; ++i) all.push_back(submit());
  for (auto& one : all) EXPECT_EQ(wait(one).result, Class::kDone);
  EXPECT_LT(steady_clock::now() - began, milliseconds(4'500)) << "8 mails one by one take 6.4 s";
  EXPECT_EQ(mail_server_->events("connected"), 4u);
}

TEST_F(SmtpTransport, AConnectionThatTheServerClosedCostsNoMail) {
  for (const json& rules : {json{{"after_mail", "421 4.4.2 idle for too long"}}, json{{"after_mail", "!drop"}}}) {
    serve({rules});
    for (int i = 0; i < 3; ++i) {
      const Outcome outcome = send();
      EXPECT_EQ(outcome.result, Class::kDone) << outcome.text;
      EXPECT_TRUE(eventually(milliseconds(3'000), [&] { return mail_server_->events("closed") == static_cast<size_t>(i + 1); }));
    }
    EXPECT_THAT(mail_server_->mails(), SizeIs(3)) << "none of them twice";
    transport_.reset();
  }
}

TEST_F(SmtpTransport, A421OnAKeptConnectionIsTriedAgainOnANewOne) {
  // The first connection takes one mail; then its MAIL is answered 421, or the connection ends there.
  for (const char* reply : {"421 4.3.2 closing", "!drop"}) {
    serve({{{"replies", {{"MAIL FROM:<second@", reply}}}}, json::object()});
    EXPECT_EQ(send().result, Class::kDone);
    Draft second = draft();
    second.from = smtp::parse_mailbox("from", "second@example.com");
    const Outcome outcome = send(second);
    EXPECT_EQ(outcome.result, Class::kDone) << outcome.text;
    EXPECT_EQ(mail_server_->events("connected"), 2u);
    EXPECT_THAT(mail_server_->mails(), SizeIs(2));
    transport_.reset();
  }
}

TEST_F(SmtpTransport, A421OnANewConnectionIsNotTriedAtOnce) {
  serve({{{"replies", {{"MAIL", "421 4.3.2 closing"}}}}});
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kTransient);
  EXPECT_EQ(outcome.code, 421);
  EXPECT_EQ(mail_server_->events("connected"), 1u);
}

}  // namespace
}  // namespace smtp_test
