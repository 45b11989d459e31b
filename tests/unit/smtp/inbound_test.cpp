// What a provider tells of mails: batches become events, and events enter the records of our own mails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "postern/ext/routes.h"
#include "smtp/config.h"
#include "smtp/mail_events.h"
#include "smtp/sendgrid_event.h"
#include "tests/unit/smtp/inbound_host.h"

namespace smtp_test {
namespace {

using postern::testing::PublishedEvent;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kAt = 1'795'000'000;  // Unix seconds

json entry(const std::string& kind, const std::string& id, int64_t at = kAt, const std::string& smtp_id = "<evt_1.dlv_7@example.com>") {
  return {{"email", "ann@example.com"}, {"event", kind}, {"sg_event_id", id}, {"smtp-id", smtp_id}, {"timestamp", at}};
}

class InboundBatchTest : public InboundTest {
 protected:
  void SetUp() override { start(inbound_config({kVectorKey})); }

  // The batch, and with it what it published.
  Settled take(const std::string& body) {
    const Settled begun = host_.deliver({.type = "inbound", .body = body});
    if (begun.outcome != POSTERN_PENDING) return begun;
    host_.run_published();
    return host_.await(begun.delivery);
  }
  Settled take(const json& entries) { return take(entries.dump() + "\r\n"); }

  // Those that are stored.
  std::vector<PublishedEvent> events() const {
    std::vector<PublishedEvent> all = told(host_);
    std::vector<PublishedEvent> stored;
    for (const PublishedEvent& event : all) {
      const bool before = std::any_of(stored.begin(), stored.end(), [&](const auto& one) { return one.event_id == event.event_id; });
      if (!event.event_id.empty() && !before) stored.push_back(event);
    }
    return stored;
  }
  void set_mail(const std::string& delivery, const std::vector<std::string>& recipients) {
    json mail = {{"event_id", "evt_1"}, {"event_type", "smtp.send"}, {"message_id", "evt_1." + delivery + "@example.com"}, {"recipients", json::object()}};
    for (const std::string& one : recipients) mail["recipients"][one] = {{"state", "accepted"}, {"code", 250}, {"text", "ok"}, {"at", 1}};
    host_.set_record("mails", delivery, mail.dump());
  }
  json record(const std::string& key) const {
    const auto found = host_.record("mail_events", key);
    return found ? json::parse(found->json) : json();
  }
};

TEST_F(InboundBatchTest, ThereIsOneSignedRoute) {
  ASSERT_EQ(host_.routes().size(), 1u);
  const auto& route = host_.routes()[0];
  EXPECT_EQ(route.method + " " + route.path, "POST /api/v1/webhooks/email");
  EXPECT_EQ(route.schemes, (std::vector<std::pair<std::string, std::string>>{{"sendgrid", ""}}));
  EXPECT_EQ(route.content_types, "application/json");
  EXPECT_EQ(route.flags & POSTERN_ROUTE_UNSIGNED, 0u);
  ASSERT_EQ(host_.schemes().size(), 1u);
  EXPECT_EQ(host_.schemes()[0].secrets, std::vector<std::string>{kVectorKey});
  EXPECT_FALSE(host_.schemes()[0].can_sign) << "who has a public key can sign nothing";
}

TEST_F(InboundBatchTest, WithoutAKeyThereIsNoRouteButOldEventsAreHandled) {
  FakeHost host(smtp_entry(), {.name = "smtp"});
  json config = inbound_config({kVectorKey});
  config.erase("inbound");
  ASSERT_TRUE(host.start(config.dump()).ok());
  EXPECT_THAT(host.routes(), IsEmpty());
  EXPECT_THAT(host.schemes(), IsEmpty());
  const Settled begun = host.deliver({.type = "inbound", .body = json::array({entry("bounce", "a")}).dump()});
  host.run_published();
  EXPECT_TRUE(host.await(begun.delivery).done());
  EXPECT_EQ(told(host).size(), 1u);
}

TEST_F(InboundBatchTest, TheVectorBecomesAnEvent) {
  const Settled settled = take(std::string(kVectorBody));
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(settled.result, R"({"duplicates":0,"events":1,"skipped":0})");
  ASSERT_EQ(events().size(), 1u);
  const PublishedEvent event = events()[0];
  EXPECT_EQ(event.type, "email.dropped");
  EXPECT_EQ(event.external_id, "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA");
  EXPECT_EQ(event.order_key, "LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net");
  EXPECT_EQ(json::parse(event.body), (json{{"event", "email.dropped"},
                                           {"provider", "sendgrid"},
                                           {"recipient", "hello@world.com"},
                                           {"reason", "Bounced Address"},
                                           {"time", "2020-09-14T19:41:32Z"},
                                           {"at", 1'600'112'492'000},
                                           {"message_id", "LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net"},
                                           {"raw", json::parse(kVectorBody)[0]}}))
      << "it is not our mail: no delivery_id";
}

TEST_F(InboundBatchTest, EveryKindHasItsType) {
  const std::pair<const char*, const char*> kinds[] = {{"processed", "email.processed"},
                                                       {"deferred", "email.deferred"},
                                                       {"delivered", "email.delivered"},
                                                       {"bounce", "email.bounced"},
                                                       {"dropped", "email.dropped"},
                                                       {"open", "email.opened"},
                                                       {"click", "email.clicked"},
                                                       {"spamreport", "email.complained"},
                                                       {"unsubscribe", "email.unsubscribed"},
                                                       {"group_resubscribe", "email.group_resubscribe"},
                                                       {"Bounce", "email.unknown"},
                                                       {"", "email.unknown"},
                                                       {"a.b", "email.unknown"},
                                                       {"a\nb", "email.unknown"},
                                                       {"_a", "email.unknown"},
                                                       {"ungüt", "email.unknown"},
                                                       {"*", "email.unknown"}};
  for (const auto& [theirs, ours] : kinds) EXPECT_EQ(smtp::read_sendgrid_event(entry(theirs, "i")).type, ours) << theirs;
  EXPECT_EQ(smtp::read_sendgrid_event(entry(std::string(41, 'a'), "i")).type, "email.unknown");
  EXPECT_EQ(smtp::read_sendgrid_event({{"event", 7}}).type, "email.unknown");
  EXPECT_EQ(smtp::read_sendgrid_event(json::object()).type, "email.unknown");
}

TEST_F(InboundBatchTest, WhatAnEntryDoesNotSayWellIsLeftOut) {
  const json odd = {{"event", "bounce"},          {"email", std::string(321, 'a')}, {"smtp-id", "a\nb"}, {"timestamp", "1795000000"},
                    {"reason", json::array({1})}, {"sg_event_id", "two\nlines"}};
  const smtp::MailEvent event = smtp::read_sendgrid_event(odd);
  EXPECT_EQ(json::parse(event.body), (json{{"event", "email.bounced"}, {"provider", "sendgrid"}, {"raw", odd}}));
  EXPECT_EQ(event.order_key, "");
  EXPECT_TRUE(event.external_id.starts_with("sha256:") && event.external_id.size() == 71) << event.external_id;
  EXPECT_NE(event.external_id, smtp::read_sendgrid_event({{"event", "bounce"}}).external_id);
  for (const json& time : {json(0), json(-1), json(253'402'300'800), json(1.5), json(nullptr), json(18'446'744'073'709'551'615u)}) {
    EXPECT_FALSE(json::parse(smtp::read_sendgrid_event({{"event", "open"}, {"timestamp", time}}).body).contains("at")) << time;
  }
}

TEST_F(InboundBatchTest, AReasonIsOneLineAndCutBetweenCharacters) {
  const auto reason = [](const json& more) { return json::parse(smtp::read_sendgrid_event(more).body).value("reason", ""); };
  EXPECT_EQ(reason({{"event", "delivered"}, {"response", "250 2.0.0 OK\r\nqueued"}}), "250 2.0.0 OK  queued");
  EXPECT_EQ(reason({{"reason", "first"}, {"response", "second"}}), "first");
  std::string umlauts = "x";
  for (int i = 0; i < 400; ++i) umlauts += "ü";
  EXPECT_EQ(reason({{"reason", umlauts}}), umlauts.substr(0, 499)) << "500 bytes would end within an ü";
  EXPECT_EQ(reason({{"reason", std::string(500, 'a')}}), std::string(500, 'a'));
  EXPECT_EQ(reason({{"reason", std::string(501, 'a')}}), std::string(500, 'a'));
}

TEST_F(InboundBatchTest, OnlyOurOwnMessageIdsNameADelivery) {
  const auto delivery = [](const std::string& id) {
    return json::parse(smtp::read_sendgrid_event(entry("open", "i", kAt, id)).body).value("delivery_id", "");
  };
  EXPECT_EQ(delivery("<evt_1.dlv_7@example.com>"), "dlv_7");
  EXPECT_EQ(delivery("evt_1.dlv_7@example.com"), "dlv_7");
  for (const char* other : {"<evt_1.dlv_@example.com>", "<evt_1.dlv_7>", "<evt_1.xdlv_7@example.com>", "<evt_1.dlv_7x@example.com>",
                            "<evt_1.dlv_7/b@example.com>", "<evt_1.DLV_7@example.com>", "<dlv_7@example.com>", "<evt_dlv_7@example.com>",
                            "<evt_1.dlv_12345678901234567890@example.com>", "<>", ""}) {
    EXPECT_EQ(delivery(other), "") << other;
  }
}

TEST_F(InboundBatchTest, WhatIsNoObjectIsCountedAndTheOthersAreHandled) {
  const Settled settled = take(json::array({entry("open", "a"), 7, nullptr, entry("click", "b"), json::array(), "text"}));
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(settled.result, R"({"duplicates":0,"events":2,"skipped":4})");
  EXPECT_EQ(events().size(), 2u);
  std::vector<std::string> warnings;
  for (const auto& line : host_.log()) warnings.push_back(line.text);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("4 are no JSON objects, the first at [1]")));
}

TEST_F(InboundBatchTest, ABodyThatIsNoListIsDead) {
  std::string deep(70, '['), hollow(100'000, '[');
  for (const std::string& body : {std::string(), std::string("{}"), std::string("[{}"), std::string("7"), std::string("null"),
                                  std::string("[\"\xff\"]"), deep + std::string(70, ']'), hollow}) {
    const Settled settled = take(body);
    EXPECT_EQ(settled.outcome, POSTERN_DEAD) << body.substr(0, 100);
    EXPECT_THAT(settled.why, HasSubstr("no JSON list of events"));
  }
  EXPECT_TRUE(take(std::string("[]")).done());
  EXPECT_THAT(told(host_), IsEmpty());
}

TEST_F(InboundBatchTest, AnEntryThatComesAgainIsOneEvent) {
  EXPECT_TRUE(take(json::array({entry("open", "a"), entry("click", "b")})).done());
  const Settled again = take(json::array({entry("click", "b"), entry("bounce", "c")}));
  EXPECT_EQ(again.result, R"({"duplicates":1,"events":2,"skipped":0})");
  EXPECT_EQ(events().size(), 3u);
}

TEST_F(InboundBatchTest, WhatCouldNotBeStoredComesAgainAndTheOthersAreDuplicates) {
  host_.refuse_published("the backlog is full");
  const Settled first = take(json::array({entry("open", "a"), entry("click", "b")}));
  EXPECT_EQ(first.outcome, POSTERN_POSTPONE);
  EXPECT_THAT(first.why, HasSubstr("the backlog is full"));
  EXPECT_EQ(first.retry_after_ms, 5'000u);
  EXPECT_EQ(events().size(), 1u);
  EXPECT_EQ(host_.redeliver(first.delivery).outcome, POSTERN_PENDING);
  host_.run_published();
  const Settled second = host_.await(first.delivery);
  EXPECT_TRUE(second.done()) << second.why;
  EXPECT_EQ(second.result, R"({"duplicates":1,"events":2,"skipped":0})");
  EXPECT_EQ(events().size(), 2u);
}

// Ten thousand may be on their way at once, for all of the plugin: a large batch must not take them.
TEST_F(InboundBatchTest, ABatchBeyondTheHostsBoundGoesInLots) {
  json many = json::array();
  for (int i = 0; i < 20'000; ++i) many.push_back({{"event", "open"}, {"sg_event_id", std::to_string(i)}});
  const Settled begun = host_.deliver({.type = "inbound", .body = many.dump()});
  ASSERT_EQ(begun.outcome, POSTERN_PENDING);
  EXPECT_EQ(told(host_).size(), 250u) << "the others wait until these are stored";
  host_.run_published();
  EXPECT_EQ(host_.await(begun.delivery).result, R"({"duplicates":0,"events":20000,"skipped":0})");
  EXPECT_EQ(told(host_).size(), 20'000u);
  many.push_back(json::object());
  const Settled more = take(many);
  EXPECT_EQ(more.outcome, POSTERN_DEAD);
  EXPECT_EQ(more.why, "it has 20001 events; a request may have 20000");
}

TEST_F(InboundBatchTest, ItsOwnRecordSaysWhatBecameOfAMail) {
  set_mail("dlv_7", {"Ann@example.com", "bob@example.com"});
  json bounce = entry("bounce", "b", kAt + 5);
  bounce["email"] = "bob@example.com";
  bounce["reason"] = "550 no such user";
  take(json::array({entry("processed", "p"), entry("delivered", "d", kAt + 2), bounce}));
  EXPECT_EQ(record("dlv_7/Ann@example.com"), (json{{"message_id", "evt_1.dlv_7@example.com"},
                                                   {"recipient", "Ann@example.com"},
                                                   {"state", "delivered"},
                                                   {"at", (kAt + 2) * 1'000}}))
      << "addresses come back in lower case";
  EXPECT_EQ(record("dlv_7/bob@example.com")["state"], "bounced");
  EXPECT_EQ(record("dlv_7/bob@example.com")["reason"], "550 no such user");
  EXPECT_EQ(json::parse(host_.record("mails", "dlv_7")->json)["recipients"]["bob@example.com"]["state"], "accepted")
      << "the sender's record is the sender's alone";
}

TEST_F(InboundBatchTest, NothingButOurOwnMailsIsTouched) {
  set_mail("dlv_7", {"bob@example.com"});
  take(json::array({entry("bounce", "a"),                                             // not to Ann
                    entry("bounce", "b", kAt, "<evt_1.dlv_8@example.com>"),                 // no record
                    entry("bounce", "c", kAt, "<evt_1.dlv_7@example.org>"),                 // another gateway's
                    entry("bounce", "d", kAt, "<abc@example.com>"),
                    json{{"event", "bounce"}, {"smtp-id", "<evt_1.dlv_7@example.com>"}, {"sg_event_id", "e"}}}));
  EXPECT_EQ(events().size(), 5u);
  auto records = host_.records();
  std::erase_if(records, [](const auto& one) { return one.first.first == "upkeep"; });
  EXPECT_EQ(records.size(), 1u);
}

TEST_F(InboundBatchTest, SomebodyElsesWriteMakesTheHandlerRunAgain) {
  set_mail("dlv_7", {"ann@example.com"});
  const std::string body = smtp::read_sendgrid_event(entry("delivered", "d")).body;
  host_.before_settle([&] {
    host_.set_record("mail_events", "dlv_7/ann@example.com", json{{"state", "processed"}, {"at", 1}, {"opened_at", 5}}.dump());
  });
  const Settled settled = host_.deliver({.type = "email.delivered", .body = body});
  EXPECT_TRUE(settled.done()) << settled.why;
  EXPECT_EQ(settled.reruns, 1u);
  EXPECT_EQ(record("dlv_7/ann@example.com")["state"], "delivered");
  EXPECT_EQ(record("dlv_7/ann@example.com")["opened_at"], 5);
}

TEST_F(InboundBatchTest, AMailAboutAMailAboutAMailIsNotSent) {
  json mail = {{"event_type", "email.bounced"}, {"message_id", "evt_1.dlv_7@example.com"}, {"recipients", {{"ann@example.com", {{"state", "accepted"}}}}}};
  host_.set_record("mails", "dlv_7", mail.dump());
  const std::string body = smtp::read_sendgrid_event(entry("bounce", "b")).body, with = R"({"to":"ann@example.com"})";
  const Settled skipped = host_.deliver({.type = "email.bounced", .body = body, .with = with});
  EXPECT_TRUE(skipped.done()) << skipped.why;
  EXPECT_THAT(skipped.result, HasSubstr("skipped"));
}

// Every order of the same events ends in the same record, and each twice as well.
TEST(MailEventsTest, TheOrderOfArrivalDoesNotMatter) {
  const auto event = [](const std::string& type, int64_t at, const std::string& reason = "") {
    json made = {{"event", "email." + type}, {"at", at}};
    if (!reason.empty()) made["reason"] = reason;
    return made;
  };
  std::vector<json> events = {event("processed", 1'000),
                              event("deferred", 2'000, "451 later"),
                              event("deferred", 9'000, "451 later still"),
                              event("delivered", 3'000, "250"),
                              event("opened", 5'000),
                              event("opened", 4'000),
                              event("complained", 6'000)};
  const json expected = {{"state", "delivered"}, {"at", 3'000}, {"reason", "250"}, {"opened_at", 4'000}, {"complained_at", 6'000}};
  std::sort(events.begin(), events.end());
  do {
    json record = json::object();
    for (const json& one : events) smtp::enter_mail_event(record, one);
    ASSERT_EQ(record, expected) << json(events);
    for (const json& one : events) ASSERT_FALSE(smtp::enter_mail_event(record, one)) << one;
  } while (std::next_permutation(events.begin(), events.end()));
}

TEST(MailEventsTest, WhichStateCounts) {
  const auto state = [](std::initializer_list<std::pair<const char*, int64_t>> events) {
    json record = json::object();
    for (const auto& [type, at] : events) smtp::enter_mail_event(record, {{"event", std::string("email.") + type}, {"at", at}});
    return record.value("state", "");
  };
  EXPECT_EQ(state({{"delivered", 1}, {"bounced", 2}}), "bounced") << "a host may take a mail and send it back later";
  EXPECT_EQ(state({{"bounced", 2}, {"delivered", 1}}), "bounced");
  EXPECT_EQ(state({{"bounced", 1}, {"processed", 2}}), "bounced");
  EXPECT_EQ(state({{"delivered", 1}, {"deferred", 2}}), "delivered");
  EXPECT_EQ(state({{"dropped", 1}, {"processed", 1}}), "dropped");
  EXPECT_EQ(state({{"deferred", 1}, {"processed", 1}}), "deferred") << "within a second";
  EXPECT_EQ(state({{"processed", 1}, {"deferred", 1}}), "deferred");
  EXPECT_EQ(state({{"deferred", 2}, {"processed", 1}}), "deferred");
  EXPECT_EQ(state({{"deferred", 1}, {"processed", 2}}), "processed");
  EXPECT_EQ(state({{"unknown", 1}, {"opened", 2}}), "");
}

TEST(InboundConfigTest, OneLineEachFault) {
  const auto faults = [](const json& inbound) {
    json config = inbound_config({});
    config["inbound"] = inbound;
    std::vector<std::string> list;
    smtp::read_config(config.dump(), [&](auto pointer, auto text) { list.push_back(std::string(pointer) + " " + std::string(text)); });
    return list;
  };
  const auto sendgrid = [&](const json& section) { return faults({{"sendgrid", section}}); };
  EXPECT_THAT(sendgrid({{"public_keys", {kVectorKey}}}), IsEmpty());
  EXPECT_THAT(sendgrid({{"public_keys", {kVectorKey}}, {"tolerance", "72h"}}), IsEmpty());
  EXPECT_THAT(sendgrid(json::object()), ElementsAre(HasSubstr("/inbound/sendgrid public_keys is missing: a list of the key")));
  EXPECT_THAT(sendgrid({{"public_keys", kVectorKey}}),
              ElementsAre("/inbound/sendgrid/public_keys public_keys must be a list of 1 to 5 texts"));
  EXPECT_THAT(sendgrid({{"public_keys", json::array()}}),
              ElementsAre("/inbound/sendgrid/public_keys public_keys must be a list of 1 to 5 texts"));
  EXPECT_THAT(sendgrid({{"public_keys", json(6, kVectorKey)}}),
              ElementsAre("/inbound/sendgrid/public_keys public_keys must be a list of 1 to 5 texts"));
  EXPECT_THAT(sendgrid({{"public_keys", {kVectorKey, kVectorKey}}}),
              ElementsAre("/inbound/sendgrid/public_keys/1 public_keys[1] is there before"));
  EXPECT_THAT(sendgrid({{"public_keys", {kVectorKey, 7}}}),
              ElementsAre("/inbound/sendgrid/public_keys/1 public_keys[1] is no public key as SendGrid shows it: base64, in one line (124 "
                          "characters, MFkw…)"));
  EXPECT_THAT(
      sendgrid({{"public_keys", {SendgridKey("P-384").public_key()}}}),
      ElementsAre(
          "/inbound/sendgrid/public_keys/0 public_keys[0] is a key of another kind: SendGrid signs by ECDSA with P-256 (prime256v1)"));
  EXPECT_THAT(sendgrid({{"public_keys", {kVectorKey}}, {"tolerance", "0s"}}),
              ElementsAre(HasSubstr("/inbound/sendgrid/tolerance tolerance must be from")));
  EXPECT_THAT(sendgrid({{"public_key", kVectorKey}, {"public_keys", {kVectorKey}}}),
              ElementsAre("/inbound/sendgrid/public_key unknown key 'public_key'; did you mean 'public_keys'?"));
  EXPECT_THAT(sendgrid("x"), Contains("/inbound/sendgrid must be a mapping"));
  EXPECT_THAT(faults({{"mailgun", json::object()}}), ElementsAre(HasSubstr("/inbound/mailgun unknown key 'mailgun'")));
  EXPECT_THAT(faults(json::object()), IsEmpty());
}

}  // namespace
}  // namespace smtp_test
