// Mails through the real daemon and a real mail server, Debian's Postfix (tests/support/mail/postfix.py), read back with Python's email
// package. As root alone, as Postfix wants it.
#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/support/gateway.h"
#include "tests/support/places.h"
#include "tests/support/tls_material.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

constexpr milliseconds kSoon{30'000};
constexpr const char* kUser = "postern@mail.postern.test";
constexpr const char* kPassword = "correct-horse-battery";
constexpr const char* kToken = "0123456789abcdef-of-the-test";

// Running while the object lives.
class Postfix {
 public:
  Postfix() {
    fs::permissions(material_.folder(), fs::perms(0755));
    const auto authority = material_.authority("authority");
    const auto pair = material_.pair(authority, "server", "DNS:localhost");
    ca_file_ = authority.file;
    const json options = {{"folder", material_.folder() + "/postfix"}, {"certificate", pair.certificate}, {"key", pair.key},
                          {"user", kUser}, {"password", kPassword}};
    process_ = std::make_unique<Process>(Process::Options{
        .program = "/usr/bin/python3", .args = {sources("tests/support/mail/postfix.py"), options.dump()}, .env = {}, .out_file = {}, .err_file = {}});
    const auto told = [this] { return process_->out().find('\n') != std::string::npos || !process_->running(); };
    if (!eventually(kSoon, told) || !process_->out().starts_with("port ")) throw std::runtime_error("no Postfix: " + process_->err());
    port_ = std::stoi(process_->out().substr(5));
  }
  // Its own program ends it with all that it has started.
  ~Postfix() {
    process_->send_signal(SIGTERM);
    process_->wait(kSoon);
  }

  int port() const { return port_; }
  const std::string& ca_file() const { return ca_file_; }
  std::string log() const {
    std::ifstream file(material_.folder() + "/postfix/mail.log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Each as tests/support/mail/read_mail.py has it.
  std::vector<json> mails() const {
    std::vector<json> all;
    std::error_code none;
    for (const auto& file : fs::directory_iterator(material_.folder() + "/postfix/mail/inbox/new", none)) {
      const Finished read = run("/usr/bin/python3", {sources("tests/support/mail/read_mail.py"), "--stored", file.path()});
      if (read.exit.code != 0) throw std::runtime_error("read_mail.py: " + read.err);
      all.push_back(json::parse(read.out));
    }
    return all;
  }

 private:
  TlsMaterial material_;
  std::string ca_file_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
};

std::string sha256_of(std::string_view bytes) {
  unsigned char digest[32];
  EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
  return hex({reinterpret_cast<const char*>(digest), sizeof digest});
}

// The first of that name.
std::string header(const json& mail, const std::string& name) {
  for (const json& one : mail["headers"]) {
    if (one[0] == name) return one[1];
  }
  return "(none)";
}

class Smtp : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "Postfix is started by root alone";
    if (access("/usr/lib/postfix/sbin/master", X_OK) != 0) GTEST_SKIP() << "there is no Postfix, for example since this machine has another MTA";
    postfix_ = std::make_unique<Postfix>();
  }
  Gateway& gateway(const std::string& subscriptions = "", const std::string& password = kPassword) {
    const std::string plugin = "  - name: smtp\n    library: smtp.so\n    retry: {base: 100ms}\n    config:\n      host: localhost\n      port: " +
                               std::to_string(postfix_->port()) + "\n      ca_file: " + postfix_->ca_file() + "\n      user: " + kUser +
                               "\n      password: " + password + "\n      from: Jürgen Postern <postern@example.com>\n      api: {tokens: [" +
                               kToken + "]}\n";
    gateway_ = std::make_unique<Gateway>(GatewayOptions{.plugins = plugin, .subscriptions = subscriptions});
    return *gateway_;
  }
  Response send(const json& order, const std::string& key = "order-1", const std::string& token = kToken) {
    return gateway_->request("POST", "/api/v1/email/send",
                             {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token}, {"Idempotency-Key", key}},
                             order.dump());
  }
  bool settles(const char* state = "done", int64_t count = 1) {
    return eventually(kSoon, [&] {
      return gateway_->store().number("SELECT count(*) FROM delivery WHERE plugin = 'smtp' AND subscriber <> 'handlers' AND state = '" +
                                          std::string(state) + "'") == count;
    });
  }
  // The newest; the log of records has it before the table.
  json record_of_the_mail() {
    for (const char* table : {"record_log", "record"}) {
      const auto rows = gateway_->store().rows(std::string("SELECT value FROM ") + table + " WHERE plugin = 'smtp' AND collection = 'mails'");
      if (!rows.empty()) return json::parse(rows.back()[0]);
    }
    return {};
  }
  std::vector<json> mails(size_t count = 1) {
    eventually(kSoon, [&] { return postfix_->mails().size() >= count; });
    return postfix_->mails();
  }
  std::string logs() { return gateway_->log() + "\n" + postfix_->log(); }

  std::unique_ptr<Postfix> postfix_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(Smtp, AMailArrivesAsItWasOrdered) {
  gateway();
  std::string bytes;
  for (int i = 0; i < 70'000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  const json order = {{"to", {"Ann Ödland <ann@example.com>", "ben@example.com"}},
                      {"cc", "carl@example.com"},
                      {"bcc", "dora@example.com"},
                      {"subject", "Grüße aus Köln: 日本語, and a subject that is too long for a single line of a mail's header 🚀"},
                      {"text", "Guten Tag,\n.\n..\nschöne Grüße\n"},
                      {"html", "<p>Guten Tag, <b>schöne Grüße</b></p>"},
                      {"headers", {{"X-Ticket", "42"}}},
                      {"attachments", {{{"name", "Übersicht.bin"}, {"content_type", "application/x-test"}, {"content", base64(bytes)}},
                                       {{"name", "note.txt"}, {"content_type", "text/plain"}, {"content", base64("a\nnote\n")}}}}};
  const Response answer = send(order);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json::parse(answer.body)["status"], "queued");
  ASSERT_TRUE(settles()) << logs();

  const auto all = mails(4);  // one for each recipient, in the one inbox
  ASSERT_THAT(all, SizeIs(4)) << logs();
  std::vector<std::string> delivered;
  for (const json& mail : all) delivered.push_back(header(mail, "Delivered-To"));
  EXPECT_THAT(delivered, ::testing::UnorderedElementsAre("ann@example.com", "ben@example.com", "carl@example.com", "dora@example.com"));

  const json& mail = all[0];
  EXPECT_THAT(mail["header_defects"], IsEmpty());
  EXPECT_EQ(header(mail, "Subject"), order["subject"].get<std::string>());
  EXPECT_EQ(mail["addresses"]["From"], json::parse(R"([["Jürgen Postern", "postern@example.com"]])"));
  EXPECT_EQ(mail["addresses"]["To"], json::parse(R"([["Ann Ödland", "ann@example.com"], ["", "ben@example.com"]])"));
  EXPECT_EQ(mail["addresses"]["Cc"], json::parse(R"([["", "carl@example.com"]])"));
  EXPECT_EQ(header(mail, "Bcc"), "(none)");
  EXPECT_EQ(header(mail, "X-Ticket"), "42");
  EXPECT_EQ(header(mail, "Auto-Submitted"), "auto-generated");
  EXPECT_EQ(header(mail, "Return-Path"), "<postern@example.com>");
  EXPECT_THAT(header(mail, "Received"), HasSubstr("ESMTPSA")) << "over TLS, and authenticated";
  EXPECT_EQ(mail["wire"]["ascii"], true);

  const json& body = mail["body"];
  EXPECT_EQ(body["type"], "multipart/mixed");
  EXPECT_THAT(body["defects"], IsEmpty());
  ASSERT_THAT(body["parts"], SizeIs(3));
  ASSERT_EQ(body["parts"][0]["type"], "multipart/alternative");
  EXPECT_EQ(body["parts"][0]["parts"][0]["text"], order["text"]);
  EXPECT_EQ(body["parts"][0]["parts"][1]["type"], "text/html");
  EXPECT_THAT(body["parts"][0]["parts"][1]["text"].get<std::string>(), HasSubstr("<b>schöne Grüße</b>"));
  EXPECT_EQ(body["parts"][1]["file_name"], "Übersicht.bin");
  EXPECT_EQ(body["parts"][1]["type"], "application/x-test");
  EXPECT_EQ(body["parts"][1]["size"], bytes.size());
  EXPECT_EQ(body["parts"][1]["sha256"], sha256_of(bytes));
  EXPECT_EQ(body["parts"][2]["file_name"], "note.txt");
  EXPECT_EQ(body["parts"][2]["sha256"], sha256_of("a\nnote\n"));
}

// Each recipient's outcome is kept, and an order that comes again is one mail.
TEST_F(Smtp, TheOrderIsMailedOnceAndItsRecordSaysToWhom) {
  gateway();
  const json order = {{"to", {"ann@example.com", "ben@example.com"}}, {"subject", "Once"}, {"text", "Once."}};
  const Response first = send(order), again = send(order);
  EXPECT_EQ(json::parse(first.body)["status"], "queued");
  EXPECT_EQ(json::parse(again.body)["status"], "duplicate_ignored");
  EXPECT_EQ(json::parse(again.body)["event_id"], json::parse(first.body)["event_id"]);
  ASSERT_TRUE(settles()) << logs();
  ASSERT_THAT(mails(2), SizeIs(2));
  const json record = record_of_the_mail();
  ASSERT_TRUE(record.is_object()) << logs();
  EXPECT_EQ(record["event_id"], json::parse(first.body)["event_id"]);
  EXPECT_EQ("<" + record["message_id"].get<std::string>() + ">", header(mails(2)[0], "Message-ID"));
  for (const char* address : {"ann@example.com", "ben@example.com"}) {
    EXPECT_EQ(record["recipients"][address]["state"], "accepted");
    EXPECT_EQ(record["recipients"][address]["code"], 250);
  }
  EXPECT_EQ(send(order, "order-2", "not-the-token-of-the-test").status, 401);
}

TEST_F(Smtp, ASubscriptionMailsWhatAnotherPluginTook) {
  gateway("  - on: openphone.message.received\n    plugin: smtp\n    with:\n      to: office@example.com\n"
          "      subject: \"Message from {{event.data.data.context.senderIdentifier}}\"\n      text: \"{{event.data.data.resource.text}}\"\n");
  const std::string id = new_event_id();
  ASSERT_EQ(status_of(gateway_->post_signed(id, message_body(id, "CN1", "Bitte um Rückruf"))), "queued");
  ASSERT_TRUE(settles()) << logs();
  const auto all = mails();
  ASSERT_THAT(all, SizeIs(1)) << logs();
  EXPECT_THAT(header(all[0], "Subject"), HasSubstr("Message from +1"));
  EXPECT_THAT(all[0]["body"]["text"].get<std::string>(), HasSubstr("Bitte um Rückruf"));
}

// scripted_server.py of tests/support/mail, which takes one of two recipients at first, and then ends the connection.
TEST(SmtpProgress, WhoHasTheMailIsNotMailedAgain) {
  const json busy = {{"replies", {{"RCPT TO:<later@", "450 4.2.1 later"}}}, {"after_mail", "421 4.3.2 closing"}};
  const json script = {{"tls", "none"}, {"connections", {busy, json::object()}}};
  Process server({.program = "/usr/bin/python3", .args = {sources("tests/support/mail/scripted_server.py"), script.dump()}, .env = {}, .out_file = {},
                  .err_file = {}});
  ASSERT_TRUE(eventually(kSoon, [&] { return server.out().find('\n') != std::string::npos; })) << server.err();
  const int port = std::stoi(server.out().substr(5));
  Gateway gateway({.plugins = "  - name: smtp\n    library: smtp.so\n    retry: {base: 100ms}\n    config: {host: 127.0.0.1, tls: none, port: " +
                              std::to_string(port) + ", from: p@example.com, health: {connect: false}, api: {tokens: [" + kToken + "]}}\n"});
  const json order = {{"to", {"ann@example.com", "later@example.com"}}, {"subject", "Partly"}, {"text", "Partly."}};
  ASSERT_EQ(gateway.request("POST", "/api/v1/email/send", {{"Content-Type", "application/json"}, {"Authorization", std::string("Bearer ") + kToken}},
                            order.dump()).status, 200);
  const char* kSentAndNoted = "SELECT count(*) FROM delivery d JOIN event e ON e.seq = d.event WHERE d.state = 'done' AND "
                              "e.type IN ('smtp.send', 'smtp.progress')";
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway.store().number(kSentAndNoted) == 2; })) << gateway.log() << server.out();

  std::vector<json> mails;
  std::istringstream lines(server.out());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("{") && json::parse(line).contains("mail")) mails.push_back(json::parse(line)["mail"]);
  }
  ASSERT_THAT(mails, SizeIs(2)) << server.out();
  EXPECT_EQ(mails[0]["to"], json::array({"ann@example.com"}));
  EXPECT_EQ(mails[1]["to"], json::array({"later@example.com"}));
  const auto id_line = [](const json& mail) {
    const std::string content = *from_base64(mail["content"].get<std::string>());
    const size_t at = content.find("Message-ID:");
    return content.substr(at, content.find('\r', at) - at);
  };
  EXPECT_EQ(id_line(mails[0]), id_line(mails[1]));
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM event WHERE type = 'smtp.progress'"), 1);
}

TEST_F(Smtp, AWrongPasswordIsToldAndNeverShown) {
  gateway("", "a-wrong-password-of-the-test");
  ASSERT_EQ(send({{"to", "ann@example.com"}, {"subject", "Never"}, {"text", "Never."}}).status, 200);
  const auto told = [&] {
    const auto rows = gateway_->store().rows("SELECT last_error FROM delivery WHERE plugin = 'smtp' AND subscriber = 'send'");
    return rows.size() == 1 && rows[0][0].find("535") != std::string::npos;
  };
  EXPECT_TRUE(eventually(kSoon, told)) << logs();
  EXPECT_THAT(postfix_->mails(), IsEmpty());
  EXPECT_THAT(gateway_->log(), ::testing::Not(HasSubstr("a-wrong-password-of-the-test")));
}

// ---- without a mail server

std::string mailing(const std::string& more = "") {
  return "  - {name: smtp, library: smtp.so, config: {host: 127.0.0.1, port: 1, tls: none, from: p@example.com, "
         "health: {connect: false}" + more + "}}\n";
}

TEST(SmtpCheck, ABadTemplateOfASubscriptionIsToldWithItsPlace) {
  Gateway gateway({.plugins = mailing()});
  gateway.write_config(gateway.config() + "subscriptions:\n  - on: openphone.*\n    plugin: smtp\n    with:\n      to: office@example.com\n"
                                          "      subject: 'x'\n      html: '<p>{{#event}}'\n");
  const Finished checked = gateway.command({"check"});
  EXPECT_EQ(checked.exit.code, 1);
  EXPECT_THAT(checked.err, HasSubstr("subscription openphone.* to plugin smtp: html is no template: line 1, column 4: "
                                     "the section 'event' is not closed"));
  const std::string config = gateway.config();
  const auto line = 1 + std::count(config.begin(), config.begin() + static_cast<long>(config.find("html:")), '\n');
  EXPECT_THAT(checked.err, HasSubstr(":" + std::to_string(line) + ":7: ")) << checked.err;
}

TEST(SmtpSample, IsTakenAndItsTokenIsNotShown) {
  Gateway gateway({.plugins = mailing(std::string(", api: {tokens: [") + kToken + "]}")});
  const Finished sent = gateway.command({"send", "smtp", "send"});
  EXPECT_EQ(sent.exit.code, 0) << sent.err;
  EXPECT_THAT(sent.out, ::testing::AllOf(HasSubstr("Authorization: Bearer ***"), HasSubstr("queued"), ::testing::Not(HasSubstr(kToken))));
}

// A delivery that dies anywhere becomes a mail, which is ordered once. That nobody takes it makes no further one.
TEST(SmtpAlerts, OneForADeadDeliveryAndNoneForItsOwnMail) {
  const std::string probe = "  - {name: probe, library: " + probe_library() + ", events: {payment.*: {critical: true}}}\n";
  Gateway gateway({.plugins = mailing(", alerts: {to: ops@example.com, gather: 100ms, interval: 1s}") + probe});
  const std::string body = R"({"id":"a","type":"payment.received","do":"dead"})";
  ASSERT_EQ(gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, body).status, 200);
  const auto orders = [&] { return gateway.store().number("SELECT count(*) FROM event WHERE type = 'smtp.send'"); };
  EXPECT_TRUE(eventually(kSoon, [&] { return orders() == 1; })) << gateway.log();
  EXPECT_EQ(gateway.store().number("SELECT count(*) FROM event WHERE type = 'smtp.send' AND provider = 'smtp' AND "
                                   "CAST(body AS TEXT) LIKE '%1 dead delivery%'"), 1);
}

}  // namespace
}  // namespace postern::testing
