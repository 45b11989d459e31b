// Servers that refuse, fall silent, say too much or are not whom they claim to be: each has its class, in bounded time.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "smtp/probe.h"
#include "tests/unit/smtp/mail_server.h"

namespace smtp_test {
namespace {

using postern::testing::eventually;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class SmtpBadServer : public TransportTest {
 protected:
  static json rules(const std::string& step, const std::string& reply) {
    if (step == "greeting") return {{"greeting", reply}};
    return {{"replies", {{step, reply}}}};
  }
};

TEST_F(SmtpBadServer, ARefusalAtEachStepHasItsClass) {
  const struct {
    const char *step, *reply;
    Class result;
  } cases[] = {
      {"greeting", "421 too busy", Class::kTransient},  {"greeting", "554 go away", Class::kPermanent},
      {"EHLO", "421 too busy", Class::kTransient},      {"EHLO", "550 go away", Class::kPermanent},
      {"STARTTLS", "454 no TLS now", Class::kTransient}, {"STARTTLS", "501 no", Class::kTls},
      {"challenge", "454 4.7.0 later", Class::kTransient}, {"challenge", "535 5.7.8 bad credentials", Class::kAuth},
      {"challenge", "534 5.7.9 application password needed", Class::kAuth}, {"AUTH PLAIN", "504 unknown", Class::kAuth},
      {"challenge", "421 4.7.0 later", Class::kTransient},
      {"MAIL", "451 later", Class::kTransient},         {"MAIL", "552 too big", Class::kPermanent},
      {"MAIL", "530 5.7.0 authentication required", Class::kAuth},
      {"RCPT", "451 later", Class::kTransient},         {"RCPT", "550 no such user", Class::kPermanent},
      {"DATA", "451 later", Class::kTransient},         {"DATA", "554 no", Class::kPermanent},
      {".", "451 later", Class::kTransient},            {".", "554 5.7.1 spam", Class::kPermanent},
      {".", "421 closing", Class::kTransient},          {".", "550 5.4.5 daily limit", Class::kPermanent},
  };
  for (const auto& one : cases) {
    serve({rules(one.step, one.reply)}, "starttls");
    log_in();
    const Outcome outcome = send();
    EXPECT_EQ(outcome.result, one.result) << one.step << " " << one.reply << ": " << name_of(outcome.result) << " " << outcome.text;
    EXPECT_EQ(outcome.code, std::atoi(one.reply)) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr(one.reply)) << outcome.text;
    ASSERT_THAT(outcome.recipients, SizeIs(1));
    EXPECT_EQ(outcome.recipients[0].result, one.result);
    expect_no_secret_in_clear();
    transport_.reset();
  }
}

TEST_F(SmtpBadServer, ADropAtEachStepIsTransientAndAfterTheDotAmbiguous) {
  for (const char* step : {"greeting", "EHLO", "STARTTLS", "AUTH PLAIN", "challenge", "MAIL", "RCPT", "DATA", "."}) {
    serve({rules(step, "!drop")}, "starttls");
    log_in();
    const Outcome outcome = send();
    EXPECT_EQ(outcome.result, step == std::string(".") ? Class::kAmbiguous : Class::kTransient)
        << step << ": " << name_of(outcome.result) << " " << outcome.text;
    EXPECT_EQ(mail_server_->events("connected"), 1u) << step;
    transport_.reset();
  }
  serve({{{"body", "drop"}}});
  Draft large = draft();
  large.attachments = {smtp::Attachment{"a", "", std::string(20'000'000, 'x'), "", ""}};  // more than the kernel takes at once
  EXPECT_EQ(send(large).result, Class::kTransient) << "before the dot";
}

TEST_F(SmtpBadServer, SilenceAtEachStepEndsAtTheDeadline) {
  for (const char* step : {"greeting", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA"}) {
    serve({rules(step, "!hang")}, "starttls");
    server_.deadline = milliseconds(700);
    const auto began = steady_clock::now();
    const Outcome outcome = send();
    EXPECT_EQ(outcome.result, Class::kTransient) << step;
    EXPECT_THAT(outcome.text, HasSubstr("in time")) << step;
    EXPECT_LT(steady_clock::now() - began, milliseconds(3'000)) << step;
    transport_.reset();
  }
}

TEST_F(SmtpBadServer, TheConnectTimeoutHoldsUntilTheServerIsReady) {
  serve({rules("greeting", "!hang")});
  server_.connect_timeout = milliseconds(500);
  const auto began = steady_clock::now();
  EXPECT_EQ(send().result, Class::kTransient);
  EXPECT_LT(steady_clock::now() - began, milliseconds(3'000));
}

TEST_F(SmtpBadServer, TheReplyToTheDotIsWaitedForLonger) {
  serve({rules(".", "!hang")});
  server_.deadline = milliseconds(600);
  server_.final_reply = milliseconds(2'000);
  const auto began = steady_clock::now();
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kAmbiguous) << outcome.text;
  EXPECT_GE(steady_clock::now() - began, milliseconds(2'000));
  EXPECT_LT(steady_clock::now() - began, milliseconds(6'000));
}

// libcurl would end the half mail with a dot when its transfer is taken away.
TEST_F(SmtpBadServer, AMailThatIsGivenUpHalfWayIsNotStored) {
  Draft large = draft();
  large.attachments = {smtp::Attachment{"a", "", std::string(20'000'000, 'x'), "", ""}};
  serve({{{"body", "stall"}}});
  server_.deadline = milliseconds(700);
  EXPECT_EQ(send(large).result, Class::kTransient);
  EXPECT_TRUE(eventually(milliseconds(10'000), [&] { return mail_server_->events("closed") == 1; }));
  EXPECT_THAT(mail_server_->mails(), SizeIs(0));
  EXPECT_EQ(mail_server_->events("half a mail"), 1u);
  transport_.reset();

  serve({{{"body", "stall"}}});
  server_.deadline = milliseconds(10'000);
  auto outcome = submit(large);
  ASSERT_TRUE(eventually(milliseconds(5'000), [&] { return mail_server_->count("DATA") == 1; }));
  transport().close(milliseconds(0));
  EXPECT_EQ(wait(outcome).result, Class::kTransient);
  EXPECT_TRUE(eventually(milliseconds(10'000), [&] { return mail_server_->events("closed") == 1; }));
  EXPECT_THAT(mail_server_->mails(), SizeIs(0));
}

TEST_F(SmtpBadServer, RepliesWithoutEndAreCutOff) {
  for (const char* step : {"greeting", "EHLO", "MAIL", "RCPT", "DATA", "."}) {
    for (const char* reply : {"!flood", "!long"}) {
      serve({rules(step, reply)});
      const auto began = steady_clock::now();
      const Outcome outcome = send();
      EXPECT_LE(outcome.text.size(), 600u);
      EXPECT_LT(steady_clock::now() - began, milliseconds(8'000)) << step << reply;
      if (reply == std::string("!flood")) {
        EXPECT_EQ(outcome.result, step == std::string(".") ? Class::kAmbiguous : Class::kTransient) << step << ": " << outcome.text;
        if (step != std::string(".")) {
          EXPECT_THAT(outcome.text, ::testing::AnyOf(HasSubstr("does not end"), HasSubstr("Too large response")))
              << step;  // libcurl's own bound
        }
      }
      transport_.reset();
    }
  }
}

TEST_F(SmtpBadServer, WithoutStartTlsNothingIsSaidInClear) {
  serve({json::object()}, "starttls", {{"hide_starttls", true}});
  log_in();
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kTls) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("offers no STARTTLS"));
  EXPECT_EQ(mail_server_->count("MAIL"), 0u);
  expect_no_secret_in_clear();
}

TEST_F(SmtpBadServer, BytesBehindTheAnswerToStartTlsEndIt) {
  serve({rules("STARTTLS", "220 go\r\n250-evil\r\n250 AUTH PLAIN")}, "starttls");
  log_in();
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kTls) << outcome.text;
  EXPECT_EQ(mail_server_->count("MAIL"), 0u);
  expect_no_secret_in_clear();
}

TEST_F(SmtpBadServer, AWrongCertificateEndsItBeforeAnySecret) {
  const auto other = material_.authority("other");
  const auto mine = material_.authority("mine");
  const struct {
    postern::testing::TlsMaterial::Pair pair;
    const char* what;
  } cases[] = {{material_.pair(other, "foreign", "DNS:localhost"), "another authority"},
               {material_.pair(mine, "elsewhere", "DNS:mail.example.com"), "another name"},
               {material_.pair(mine, "expired", "DNS:localhost", -10), "expired"}};
  for (const char* tls : {"starttls", "implicit"}) {
    for (const auto& one : cases) {
      serve({json::object()}, tls, {{"certificate", one.pair.certificate}, {"key", one.pair.key}});
      server_.ca_file = mine.file;
      log_in();
      const Outcome outcome = send();
      EXPECT_EQ(outcome.result, Class::kTls) << one.what << ": " << outcome.text;
      EXPECT_THAT(outcome.text, HasSubstr("certificate is not accepted"));
      EXPECT_EQ(mail_server_->count("MAIL"), 0u);
      expect_no_secret_in_clear();
      transport_.reset();
    }
  }
}

TEST_F(SmtpBadServer, OldTlsIsNoTls) {
  serve({json::object()}, "implicit", {{"old_tls", true}});
  log_in();
  EXPECT_NE(send().result, Class::kDone);
  EXPECT_TRUE(eventually(milliseconds(3'000), [&] { return mail_server_->events("no tls") == 1; }));
}

TEST_F(SmtpBadServer, NoTextHasASecret) {
  serve({{{"replies",
           {{"challenge", "535-first line\r\n535 5.7.8 no " + std::string(kPassword) + " nor " + encoded(kPassword) + " nor " +
                              encoded(std::string(1, '\0') + kUser + std::string(1, '\0') + kPassword) + " \x1b[31m" +
                              std::string(3'000, 'z')}}}}},
        "starttls");
  log_in();
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kAuth);
  EXPECT_THAT(outcome.text, HasSubstr("AUTH: 535 first line 5.7.8 no *** nor *** nor *** ?[31mzzz"));
  EXPECT_LE(outcome.text.size(), 520u);
}

TEST_F(SmtpBadServer, ARefusedLoginIsNotTriedAgainAtOnce) {
  serve({rules("challenge", "535 5.7.8 bad credentials")}, "starttls");
  log_in();
  server_.hold = milliseconds(1'500);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(send().result, Class::kAuth);
  EXPECT_EQ(mail_server_->count("AUTH"), 1u);
  std::this_thread::sleep_for(milliseconds(1'600));
  EXPECT_EQ(send().result, Class::kAuth);
  EXPECT_EQ(mail_server_->count("AUTH"), 2u);
}

TEST_F(SmtpBadServer, WhoWaitsInLineHasADeadlineToo) {
  serve({rules(".", "!hang")});
  server_.deadline = milliseconds(800);
  server_.final_reply = milliseconds(4'000);
  auto first = submit();
  auto second = submit();
  const auto began = steady_clock::now();
  const Outcome outcome = wait(second);
  EXPECT_EQ(outcome.result, Class::kTransient);
  EXPECT_THAT(outcome.text, HasSubstr("no connection was free"));
  EXPECT_LT(steady_clock::now() - began, milliseconds(3'000));
  EXPECT_EQ(wait(first).result, Class::kAmbiguous);
}

TEST_F(SmtpBadServer, CloseIsBoundedAndAnswersEveryMailOnce) {
  for (const char* step : {"greeting", "MAIL", "."}) {
    serve({rules(step, "!hang")});
    server_.connections = 2;
    std::atomic<int> answers{0};
    for (int i = 0; i < 50; ++i)
      transport().submit(Message::compose(draft()), [&](const Outcome& outcome) { answers += outcome.result != Class::kDone; });
    ASSERT_TRUE(eventually(milliseconds(5'000), [&] { return mail_server_->events("connected") == 2; }));
    const auto began = steady_clock::now();
    transport().close(milliseconds(300));
    EXPECT_LT(steady_clock::now() - began, milliseconds(3'000)) << step;
    EXPECT_EQ(answers, 50) << step;
    transport().submit(Message::compose(draft()), [&](const Outcome& outcome) { answers += outcome.result == Class::kTransient; });
    EXPECT_EQ(answers, 51) << "nothing is taken any more";
    transport_.reset();
  }
}

TEST_F(SmtpBadServer, AServerThatDoesNotSayGoodbyeIsLeft) {
  serve({rules("QUIT", "!hang")});
  EXPECT_EQ(send().result, Class::kDone);
  const auto began = steady_clock::now();
  transport().close(milliseconds(300));
  EXPECT_LT(steady_clock::now() - began, milliseconds(5'000));
}

TEST_F(SmtpBadServer, ARefusalStandsThoughTheGoodbyeFails) {
  for (const char* quit : {"!hang", "!drop", "!flood"}) {
    serve({{{"replies", {{"MAIL", "550 5.7.1 not you"}, {"QUIT", quit}}}}});
    const Outcome outcome = send();
    EXPECT_EQ(outcome.result, Class::kPermanent) << quit << ": " << outcome.text;
    EXPECT_EQ(outcome.text, "MAIL: 550 5.7.1 not you");
    transport_.reset();
  }
}

TEST_F(SmtpBadServer, TheLineIsBounded) {
  serve({rules("MAIL", "!hang")});
  std::atomic<size_t> refused{0}, answers{0};
  milliseconds turn{0};
  const auto message = Message::compose(draft());
  const auto count = [&](const Outcome& outcome) {
    ++answers;
    EXPECT_TRUE(outcome.untried) << outcome.text;
    if (outcome.text.find("too many mails wait") == std::string::npos) return;
    ++refused;
    EXPECT_GT(outcome.again_after, turn) << "each has a turn of its own";
    turn = outcome.again_after;
  };
  transport().submit(message, [&](const Outcome&) { ++answers; });
  ASSERT_TRUE(eventually(milliseconds(5'000), [&] { return mail_server_->count("MAIL") == 1; }));
  for (size_t i = 0; i < Transport::kMaxWaiting + 7; ++i) transport().submit(message, count);
  EXPECT_EQ(refused, 7u);
  EXPECT_EQ(transport().waiting(), Transport::kMaxWaiting);
  transport().close(milliseconds(0));
  EXPECT_EQ(answers, Transport::kMaxWaiting + 8);
}

TEST_F(SmtpBadServer, LargeMailsInLineAreFewer) {
  serve({rules("MAIL", "!hang")});
  Draft large = draft();
  large.attachments = {smtp::Attachment{"a", "", std::string(300'000, 'x'), "", ""}};
  const auto message = Message::compose(large);
  ASSERT_FALSE(message->in_memory());
  std::atomic<size_t> answers{0};
  transport().submit(Message::compose(draft()), [&](const Outcome&) { ++answers; });
  ASSERT_TRUE(eventually(milliseconds(5'000), [&] { return mail_server_->count("MAIL") == 1; }));
  for (size_t i = 0; i < 130; ++i) transport().submit(message, [&](const Outcome&) { ++answers; });
  EXPECT_EQ(transport().waiting(), Transport::kMaxWaitingBytes >> 20);
  transport().close(milliseconds(0));
  EXPECT_EQ(answers, 131u);
}

TEST_F(SmtpBadServer, WhatIsKeptBesideAMailCountsAsWell) {
  serve({rules("MAIL", "!hang")});
  const auto message = Message::compose(draft());
  std::atomic<size_t> answers{0};
  const auto count = [&](const Outcome&) { ++answers; };
  transport().submit(message, count, Transport::kMaxWaitingBytes * 2);  // too much for any line, but the only one
  ASSERT_TRUE(eventually(milliseconds(5'000), [&] { return mail_server_->count("MAIL") == 1; }));
  for (size_t i = 0; i < 10; ++i) transport().submit(message, count, Transport::kMaxWaitingBytes / 4);
  EXPECT_EQ(transport().waiting(), 3u);
  EXPECT_EQ(answers, 7u);
  transport().close(milliseconds(0));
  EXPECT_EQ(answers, 11u);
}

TEST_F(SmtpBadServer, NobodyListens) {
  server_.host = "127.0.0.1";
  server_.port = 1;
  server_.tls = Tls::kNone;
  const Outcome outcome = send();
  EXPECT_EQ(outcome.result, Class::kTransient);
  EXPECT_THAT(outcome.text, HasSubstr("the connection failed"));
}

TEST_F(SmtpBadServer, TheProbeTellsWhatIsWrong) {
  const struct {
    json rules;
    Class result;
  } cases[] = {{json::object(), Class::kDone},
               {rules("challenge", "535 bad"), Class::kAuth},
               {rules("STARTTLS", "501 no"), Class::kTls},
               {rules("greeting", "!hang"), Class::kTransient},
               {rules("NOOP", "421 closing"), Class::kTransient},
               {rules("QUIT", "!hang"), Class::kDone}};
  for (const auto& one : cases) {
    serve({one.rules}, "starttls");
    log_in();
    server_.connect_timeout = milliseconds(1'000);
    const auto began = steady_clock::now();
    const smtp::ProbeResult result = smtp::probe(server_);
    EXPECT_EQ(result.result, one.result) << one.rules << " " << result.text;
    EXPECT_LT(steady_clock::now() - began, milliseconds(6'000)) << one.rules;
    if (one.rules.empty()) {
      EXPECT_THAT(mail_server_->commands(), ::testing::ElementsAre("EHLO gateway.example.com", "STARTTLS", "EHLO gateway.example.com",
                                                                   "AUTH PLAIN", ::testing::_, "NOOP", "QUIT"));
    }
    expect_no_secret_in_clear();
  }
}

}  // namespace
}  // namespace smtp_test
