// The plugin's configuration, and what it declares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "postern/abi.h"
#include "postern/ext/health.h"
#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"
#include "smtp/config.h"
#include "tests/support/places.h"
#include "tests/unit/smtp/composed.h"

namespace smtp_test {
namespace {

using postern::testing::FakeHost;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

json base() { return {{"host", "smtp.example.com"}, {"user", "u"}, {"password", "p"}, {"from", "Postern <postern@example.com>"}}; }
json with(const char* pointer, const json& value) {
  json config = base();
  config[json::json_pointer(pointer)] = value;
  return config;
}
std::vector<std::string> faults(const json& config) {
  std::vector<std::string> list;
  smtp::read_config(config.dump(), [&](auto pointer, auto text) { list.push_back(std::string(pointer) + " " + std::string(text)); });
  return list;
}
smtp::Config read(const json& config) {
  return smtp::read_config(config.dump(), [](auto pointer, auto text) { ADD_FAILURE() << pointer << " " << text; });
}

TEST(SmtpConfig, WhatIsMissingIsToldAtOnce) {
  EXPECT_THAT(faults(json::object()), ElementsAre(" host is missing: the mail server's name, as host: smtp.example.com",
                                                  " from is missing: the sender, as from: Postern <postern@example.com>"));
  EXPECT_THAT(faults(nullptr), Contains(HasSubstr("host is missing")));
  EXPECT_THAT(faults(json::array()), ElementsAre(" config must be a mapping"));
  EXPECT_THAT(faults({{"host", "h"}, {"from", "a@b.example"}, {"user", "u"}}),
              ElementsAre("/user user needs a password or an access_token"));
}

TEST(SmtpConfig, DefaultsFollowTheTlsMode) {
  EXPECT_EQ(read(base()).server.port, 587);
  EXPECT_EQ(read(base()).server.tls, smtp::Tls::kStartTls);
  EXPECT_EQ(read(with("/tls", "implicit")).server.port, 465);
  EXPECT_EQ(read(with("/port", 2525)).server.port, 2525);
  EXPECT_EQ(read(base()).server.connections, 4u);
  EXPECT_EQ(read(base()).from.address, "postern@example.com");
  EXPECT_TRUE(read(base()).health.connect);
  const smtp::Config all = read({{"host", "127.0.0.1"},
                                 {"tls", "none"},
                                 {"user", "u"},
                                 {"password", "p"},
                                 {"auth", {"login", "plain"}},
                                 {"from", "a@b.example"},
                                 {"reply_to", "Ann <c@d.example>"},
                                 {"ehlo_name", "[192.0.2.1]"},
                                 {"connections", 8},
                                 {"connect_timeout", "5s"},
                                 {"deadline", "90s"},
                                 {"health", {{"connect", false}, {"every", "1h"}}}});
  EXPECT_EQ(all.server.port, 25);
  EXPECT_THAT(all.server.mechanisms, ElementsAre("LOGIN", "PLAIN"));
  EXPECT_EQ(all.reply_to->name, "Ann");
  EXPECT_EQ(all.server.deadline, std::chrono::seconds(90));
  EXPECT_EQ(all.health.every, std::chrono::hours(1));
}

TEST(SmtpConfig, OneLineEachFault) {
  const std::pair<json, std::string> cases[] = {
      {with("/pasword", "x"), "/pasword unknown key 'pasword'; did you mean 'password'?"},
      {with("/host", "smtp.example.com:587/x"), "/host host must be a name or an address, without a port"},
      {with("/port", 70000), "/port port must be a whole number from 1 to 65535"},
      {with("/port", -1), "/port port must be a whole number from 1 to 65535"},
      {with("/tls", "off"), "/tls tls must be one of starttls, implicit, none"},
      {with("/tls", "none"), "/tls tls none would send the password in clear; that is only allowed to this machine"},
      {with("/access_token", "t"), "/access_token access_token stands beside a password; one of them logs in"},
      {with("/password", "p\n"), "/password password has a line break or another control character; is there one at the end of its file?"},
      {with("/auth", {"plain", "gssapi"}), "/auth/1 auth[1] must be one of plain, login, xoauth2"},
      {with("/auth", {"xoauth2"}), "/auth/0 xoauth2 goes with an access_token, not with a password"},
      {with("/auth", "plain"), "/auth auth must be a list of plain, login and xoauth2"},
      {with("/from", "Postern"), "/from from: the address has no '@'"},
      {with("/from", "a@b.example\r\nBcc: c@d.example"), "/from from: a line break is not allowed"},
      {with("/reply_to", "a b@c.example"), "/reply_to reply_to: what stands before the '@' is no mailbox name"},
      {with("/ca_file", "/nonexistent.pem"), "/ca_file ca_file cannot be read"},
      {with("/ehlo_name", "a b"), "/ehlo_name ehlo_name must be a host name, or an address in brackets"},
      {with("/connections", 0), "/connections connections must be a whole number from 1 to 32"},
      {with("/deadline", "60"), "/deadline deadline must be a duration such as 1500ms, 2s, 55m or 30d"},
      {with("/health", {{"conect", true}}), "/health/conect unknown key 'conect'; did you mean 'connect'?"},
      {with("/health", {{"every", "1s"}}), "/health/every every must be from 10000ms to 86400000ms"},
      {with("/templates/a~1b", json::object()), "/templates/a/b a template's name must be 1 to 64 letters, digits, '_' and '-'"},
      {with("/templates/t", {{"text", "x"}}), "/templates/t a template needs a subject"},
      {with("/templates/t", {{"subject", "x"}}), "/templates/t a template needs text, html, text_file or html_file"},
      {with("/templates/t", {{"subject", "x"}, {"text", "a\n{{#b}}"}}),
       "/templates/t/text line 2, column 1: the section 'b' is not closed"},
      {with("/templates/t", {{"subject", "{{x"}, {"text", "a"}}), "/templates/t/subject line 1, column 1: this tag is not closed by }}"},
      {with("/templates/t", {{"subject", "x"}, {"text_file", "/nonexistent"}}),
       "/templates/t/text_file text_file cannot be opened: No such file or directory"},
      {with("/templates/t", {{"subject", "x"}, {"text_file", "/tmp"}}), "/templates/t/text_file text_file is not a file"},
      {with("/templates/t", {{"subject", "x"}, {"text", "a"}, {"text_file", "/tmp/x"}}),
       "/templates/t/text_file text_file stands beside text; one of them is the template"},
      {with("/templates/t", {{"subject", "x"}, {"text", "a"}, {"htm", "a"}}), "/templates/t/htm unknown key 'htm'; did you mean 'html'?"},
      {with("/templates", 7), "/templates must be a mapping"},
  };
  for (const auto& [config, fault] : cases) EXPECT_THAT(faults(config), Contains(fault)) << config;
  EXPECT_THAT(faults(base()), IsEmpty());
}

TEST(SmtpConfig, TemplatesFromFiles) {
  const Folder folder;
  json config = base();
  config["templates"]["sms"] = {
      {"subject", "SMS from {{from}}"}, {"text_file", folder.file("t", "{{text}}")}, {"html_file", folder.file("h", "<p>{{text}}</p>")}};
  const smtp::Config read_in = read(config);
  const smtp::MailTemplate& sms = read_in.templates.at("sms");
  const json values = {{"from", "+1"}, {"text", "a<b"}};
  EXPECT_EQ(sms.subject->render(values), "SMS from +1");
  EXPECT_EQ(sms.text->render(values), "a<b");
  EXPECT_EQ(sms.html->render(values), "<p>a&lt;b</p>");
  config["templates"]["sms"]["html_file"] = folder.file("bad", "x\n  {{#open}}");
  EXPECT_THAT(faults(config), ElementsAre("/templates/sms/html_file line 2, column 3: the section 'open' is not closed"));
}

TEST(SmtpConfig, NoFaultQuotesASecret) {
  for (const json& password : {json{{"nested-secret", 1}}, json("top-secret\n"), json(std::string(2'000, 's') + "ecret")}) {
    for (const std::string& fault : faults(with("/password", password))) EXPECT_THAT(fault, Not(HasSubstr("ecret"))) << password;
  }
}

TEST(SmtpConfig, ThePluginLoadsAndHasItsHealthCheck) {
  const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/smtp.so"));
  ASSERT_TRUE(loaded) << loaded.error;
  json config = base();
  config["health"] = {{"connect", false}, {"every", "2m"}};
  FakeHost host(*loaded.entry, {.name = "smtp"});
  ASSERT_TRUE(host.start(config.dump()).ok());
  const auto health = host.health();
  ASSERT_EQ(health.size(), 1u);
  EXPECT_EQ(health[0].name, "smtp");
  EXPECT_EQ(health[0].interval_ms, 120'000u);
  EXPECT_EQ(health[0].status, uint32_t{POSTERN_CONFIGURED});
  FakeHost unreachable(*loaded.entry, {.name = "smtp"});
  ASSERT_TRUE(unreachable.start(json{{"host", "127.0.0.1"}, {"port", 1}, {"tls", "none"}, {"from", "a@b.example"}}.dump()).ok());
  EXPECT_EQ(unreachable.health().at(0).status, uint32_t{POSTERN_UNHEALTHY});
  EXPECT_THAT(unreachable.health().at(0).message, HasSubstr("transient"));
  FakeHost broken(*loaded.entry, {.name = "smtp"});
  EXPECT_FALSE(broken.start("{}").ok());
}

}  // namespace
}  // namespace smtp_test
