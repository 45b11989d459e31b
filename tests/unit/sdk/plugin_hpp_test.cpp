// The C++ wrapper, driven through the C ABI by the fake host; and the fake host's own rules, which plugins' tests lean
// on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "scripted.h"

namespace {

using postern::Delivery;
using postern::Outcome;
using postern::testing::Event;
using postern::testing::FakeHost;
using postern::testing::kEntry;
using postern::testing::Options;
using postern::testing::Settled;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PluginHpp : public postern::testing::ScriptedTest {};

TEST_F(PluginHpp, DescriptorIsPlainData) {
  EXPECT_EQ(kEntry.struct_size, sizeof(postern_plugin_entry));
  EXPECT_EQ(postern::to_view(kEntry.id), "scripted");
  EXPECT_EQ(postern::to_view(kEntry.version), "1.0");
  EXPECT_EQ(kEntry.requires_len, 3u);
}

TEST_F(PluginHpp, DeclarationsArriveMemberForMember) {
  std::vector<std::string> secrets = {"one", "two"};
  auto started = start([&](postern::Setup& setup, std::string_view config) {
    EXPECT_EQ(config, "{}");
    setup.scheme({.name = "s",
                  .algorithm = postern::Hmac::kSha512,
                  .header = "x-sig",
                  .format = "v1,{signature}",
                  .separator = " ",
                  .timestamp_header = "x-time",
                  .id_header = "x-id",
                  .signed_bytes = "{id}.{timestamp}.{body}",
                  .signature_encoding = postern::Encoding::kBase64,
                  .secret_encoding = postern::SecretEncoding::kWhsec,
                  .timestamp_unit = postern::TimeUnit::kMilliseconds,
                  .tolerance_s = 7,
                  .secrets = secrets});
    setup.route({.path = "/a/{b}",
                 .schemes = {{"s", "header:x-id"}},
                 .content_types = "application/json",
                 .type_from = "json:/type",
                 .order_key_from = "path:b|json:/b",
                 .required = "json:/b,header:x-id",
                 .max_body = 9,
                 .wait = postern::milliseconds(5000),
                 .unordered = true});
    setup.sample({.name = "n", .target = "/a/1", .body = "{{id}}", .headers = {"x-a", "b"}});
    setup.log().warn("hello");
  });
  ASSERT_TRUE(started.ok()) << started.error;
  const auto& s = host->schemes().at(0);
  EXPECT_EQ(s.algorithm, static_cast<uint32_t>(POSTERN_HMAC_SHA512));
  EXPECT_THAT((std::vector<std::string>{s.name, s.header, s.format, s.separator, s.timestamp_header, s.id_header,
                                        s.signed_bytes}),
              ElementsAre("s", "x-sig", "v1,{signature}", " ", "x-time", "x-id", "{id}.{timestamp}.{body}"));
  EXPECT_EQ(s.signature_encoding, static_cast<uint32_t>(POSTERN_ENCODING_BASE64));
  EXPECT_EQ(s.secret_encoding, static_cast<uint32_t>(POSTERN_SECRET_WHSEC));
  EXPECT_EQ(s.timestamp_unit, static_cast<uint32_t>(POSTERN_TIME_MILLISECONDS));
  EXPECT_EQ(s.tolerance_s, 7u);
  EXPECT_EQ(s.secrets, secrets);
  const auto& r = host->routes().at(1);  // the first one is the script's own
  EXPECT_EQ(r.method, "POST");
  EXPECT_EQ(r.path, "/a/{b}");
  EXPECT_EQ(r.schemes.at(0), std::make_pair(std::string("s"), std::string("header:x-id")));
  EXPECT_EQ(r.content_types, "application/json");
  EXPECT_EQ(r.type_from, "json:/type");
  EXPECT_EQ(r.order_key_from, "path:b|json:/b");
  EXPECT_EQ(r.required, "json:/b,header:x-id");
  EXPECT_EQ(r.max_body, 9u);
  EXPECT_EQ(r.wait_ms, 5000u);
  EXPECT_EQ(r.flags, static_cast<uint32_t>(POSTERN_ROUTE_UNORDERED));
  EXPECT_EQ(r.kind, static_cast<uint32_t>(POSTERN_ROUTE_EVENT));
  EXPECT_FALSE(r.has_handler);
  EXPECT_FALSE(s.functions);
  EXPECT_EQ(host->samples().at(0).body, "{{id}}");
  EXPECT_THAT(host->samples().at(0).headers, ElementsAre(std::make_pair("x-a", "b")));
  EXPECT_EQ(host->log().at(0).text, "hello");
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(PluginHpp, AllRefusalsOfInitAreTold) {
  auto started = start([](postern::Setup& setup, std::string_view) {
    setup.scheme({.name = "bare", .header = "x"});
    setup.route({.path = "nowhere"});
    setup.config_fault("/a/0", "is wrong");
    setup.config_fault("", "is empty");
  });
  EXPECT_EQ(started.status, POSTERN_E_INVALID);
  EXPECT_THAT(started.error, HasSubstr("scheme bare"));
  EXPECT_THAT(started.error, HasSubstr("route nowhere"));
  EXPECT_THAT(started.refusals, ElementsAre(HasSubstr("no secret"), HasSubstr("'/'")));
  ASSERT_EQ(started.faults.size(), 2u);
  EXPECT_EQ(started.faults[0].pointer, "/a/0");
  EXPECT_EQ(started.faults[1].text, "is empty");
  EXPECT_TRUE(script_.destroyed);
}

TEST_F(PluginHpp, ConfigFaultsAloneRefuseTheConfiguration) {
  auto started = start([](postern::Setup& setup, std::string_view) { setup.config_fault("/a", "no"); });
  EXPECT_EQ(started.status, POSTERN_E_INVALID);
  EXPECT_TRUE(script_.destroyed);
}

TEST_F(PluginHpp, ExceptionsOfInitAndActivateBecomeAStatusWithAText) {
  auto started = start([](postern::Setup&, std::string_view) { throw std::runtime_error("no disk"); });
  EXPECT_EQ(started.status, POSTERN_E_INTERNAL);
  EXPECT_EQ(started.error, "no disk");
  EXPECT_EQ(start([](postern::Setup&, std::string_view) { throw 7; }).error, "unknown exception");
  script_.activate = [] { throw postern::Error(POSTERN_E_TIMEOUT, "no answer"); };
  started = start([](postern::Setup&, std::string_view) {});
  EXPECT_EQ(started.status, POSTERN_E_TIMEOUT);
  EXPECT_EQ(started.error, "no answer");
}

TEST_F(PluginHpp, ExceptionsOfDeactivateAreLogged) {
  script_.deactivate = [] { throw std::runtime_error("stuck"); };
  ASSERT_TRUE(start([](postern::Setup&, std::string_view) {}).ok());
  host->stop();
  EXPECT_THAT(host->log().at(0).text, HasSubstr("stuck"));
}

TEST_F(PluginHpp, EveryEndOfAHandler) {
  ASSERT_TRUE(start([](postern::Setup& setup, std::string_view) {
                setup.on("void", [](Delivery&) {});
                setup.on("done", [](Delivery&) { return Outcome::done(); });
                setup.on("retry", [](Delivery&) { return Outcome::retry("busy", std::chrono::seconds(3)); });
                setup.on("postpone", [](Delivery&) { return Outcome::postpone("resting", std::chrono::seconds(4)); });
                setup.on("dead", [](Delivery&) { return Outcome::dead("nonsense"); });
                setup.on("throw.retry", [](Delivery&) { throw postern::Retry("later", std::chrono::seconds(2)); });
                setup.on("throw.postpone", [](Delivery&) { throw postern::Postpone("not now"); });
                setup.on("throw.dead", [](Delivery&) { throw postern::Dead("never"); });
                setup.on("throw.std", [](Delivery&) { throw std::out_of_range("range"); });
                setup.on("throw.int", [](Delivery&) { throw 1; });
                setup.on("lost", [](Delivery&) { return Outcome::pending(); });
              }).ok());
  EXPECT_TRUE(deliver("void").done());
  EXPECT_TRUE(deliver("done").done());
  EXPECT_EQ(deliver("member.void").result, "1");
  EXPECT_EQ(deliver("member.outcome").why, "as a member");
  auto expect = [&](const char* type, postern_status status, const char* why, std::optional<uint64_t> after) {
    Settled settled = deliver(type);
    EXPECT_EQ(settled.outcome, status) << type;
    EXPECT_EQ(settled.why, why) << type;
    EXPECT_EQ(settled.retry_after_ms, after) << type;
  };
  expect("retry", POSTERN_RETRY, "busy", 3000);
  expect("postpone", POSTERN_POSTPONE, "resting", 4000);
  expect("throw.postpone", POSTERN_POSTPONE, "not now", std::nullopt);
  expect("dead", POSTERN_DEAD, "nonsense", std::nullopt);
  expect("throw.retry", POSTERN_RETRY, "later", 2000);
  expect("throw.dead", POSTERN_DEAD, "never", std::nullopt);
  expect("throw.std", POSTERN_RETRY, "range", std::nullopt);
  expect("throw.int", POSTERN_RETRY, "unknown exception", std::nullopt);
  expect("lost", POSTERN_RETRY, "the handler returned pending without detach()", std::nullopt);
  EXPECT_FALSE(deliver("nobody").handled);
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(PluginHpp, ViewsOfTheEvent) {
  start_with([](Delivery& d) {
    EXPECT_EQ(d.id(), "evt_x");
    EXPECT_EQ(d.type(), "plugin.e");
    EXPECT_EQ(d.short_type(), "e");
    EXPECT_EQ(d.provider(), "plugin");
    EXPECT_EQ(d.external_id(), "EV1");
    EXPECT_EQ(d.order_key(), "k");
    EXPECT_EQ(d.received_at().time_since_epoch().count(), 1234567);
    EXPECT_EQ(d.body(), std::string_view("a\0b", 3));
    EXPECT_EQ(d.method(), "PUT");
    EXPECT_EQ(d.target(), "/t?q=1");
    EXPECT_EQ(d.remote(), "2001:db8::1");
    EXPECT_EQ(d.with(), "");
    EXPECT_EQ(d.header("x-a"), "1");
    EXPECT_EQ(d.header("X-A", 1), "2");
    EXPECT_EQ(d.header("x-a", 2), std::nullopt);
    if (d.attempt() == 1) throw postern::Retry("once");
    EXPECT_EQ(d.idempotency_key(), "dlv_1");
  });
  Event event{.type = "e",
              .body = std::string("a\0b", 3),
              .headers = {{"X-a", "1"}, {"x-A", "2"}},
              .order_key = "k",
              .id = "evt_x",
              .external_id = "EV1",
              .provider = {},
              .with = {},
              .method = "PUT",
              .target = "/t?q=1",
              .remote = "2001:db8::1",
              .received_at = 1234567};
  Settled first = host->deliver(event);
  EXPECT_EQ(first.outcome, POSTERN_RETRY);
  Settled second = host->redeliver(first.delivery);
  EXPECT_TRUE(second.done()) << second.why;
  EXPECT_EQ(second.attempt, 2u);
}

TEST_F(PluginHpp, GlobsAndSubscriptions) {
  ASSERT_TRUE(start([](postern::Setup& setup, std::string_view) {
                setup.on("call.*.done", [](Delivery& d) { d.set_result("1"); });
                setup.on("plugin.call.*", [](Delivery& d) { d.set_result("2"); });
                setup.on_subscription([](Delivery& d) { d.set_result(d.with()); });
                setup.subscribe("deaths", "postern.delivery.*", [](Delivery& d) { d.set_result("3"); });
              }).ok());
  EXPECT_EQ(deliver("call.a.b.done").result, "1");
  EXPECT_EQ(deliver("call.a").result, "2");
  EXPECT_FALSE(deliver("calls").handled);
  Settled other = host->deliver({.type = "other.x", .provider = "other", .with = R"({"to":"me"})"});
  EXPECT_EQ(other.result, R"({"to":"me"})");
  EXPECT_EQ(host->deliver({.type = "postern.delivery.dead", .provider = "postern"}).result, "3");
  EXPECT_FALSE(host->deliver({.type = "postern.backlog.high", .provider = "postern"}).handled);
  EXPECT_FALSE(host->deliver({.type = "plugin.call.a", .provider = "other"}).handled) << "handlers take their own plugin's events";
}

TEST_F(PluginHpp, EffectsCountOnlyWhenDone) {
  start_with([](Delivery& d) {
    d.put("c", "k", R"({"n":1})", POSTERN_RECORD_ABSENT);
    d.emit("plugin.more", "[]");
    d.set_result("true");
    if (d.attempt() == 1) throw std::runtime_error("late failure");
  });
  Settled failed = deliver();
  EXPECT_THAT(failed.emitted, IsEmpty());
  EXPECT_EQ(failed.result, "");
  EXPECT_THAT(host->records(), IsEmpty());
  Settled done = host->redeliver(failed.delivery);
  EXPECT_EQ(done.result, "true");
  EXPECT_EQ(done.emitted.at(0).type, "plugin.more");
  EXPECT_EQ(host->emitted().size(), 1u);
  EXPECT_EQ(host->record("c", "k")->json, R"({"n":1})");
}

void add_one(Delivery& d) {
  postern::Record record = d.get("c", "k");
  int n = record ? std::stoi(record.json) : 0;
  d.put("c", "k", std::to_string(n + 1), record.version);
}

TEST_F(PluginHpp, AConflictOfVersionsRunsTheHandlerAgainAndCostsNoAttempt) {
  start_with(&add_one);
  EXPECT_TRUE(deliver().done());
  host->before_settle([&] { host->set_record("c", "k", "10"); });
  Settled settled = deliver();
  EXPECT_TRUE(settled.done());
  EXPECT_EQ(settled.reruns, 1u);
  EXPECT_EQ(settled.attempt, 1u);
  EXPECT_EQ(host->record("c", "k")->json, "11");
}

TEST_F(PluginHpp, ARecordCanBeWrittenTwiceInOneDelivery) {
  start_with([](Delivery& d) {
    add_one(d);
    add_one(d);
  });
  EXPECT_TRUE(deliver().done());
  EXPECT_TRUE(deliver().done());
  EXPECT_EQ(host->record("c", "k")->json, "4");
}

TEST_F(PluginHpp, AVersionThatNeverFitsEnds) {
  start_with([](Delivery& d) { d.put("c", "k", "1", 99); });
  EXPECT_EQ(deliver().outcome, POSTERN_E_LIMIT);
  EXPECT_THAT(host->records(), IsEmpty());
}

TEST_F(PluginHpp, RefusedEffects) {
  start_with([](Delivery& d) {
    EXPECT_THROW(d.put("c", "k", "{broken", 0), postern::Error);
    EXPECT_THROW(d.emit("", "{}"), postern::Error);
    EXPECT_THROW(d.set_result("1 2"), postern::Error);
    d.put("c", "k", '"' + std::string(5 << 20, 'x') + '"', 0);
  });
  Settled settled = deliver();
  EXPECT_EQ(settled.outcome, POSTERN_DEAD);  // it would pass the bound again
  EXPECT_THAT(settled.why, HasSubstr("bound"));
}

// A Setup kept beyond init is what a plugin against the rules would use.
TEST_F(PluginHpp, RegistrationIsForInitOnly) {
  std::optional<postern::Setup> kept;
  ASSERT_TRUE(start([&](postern::Setup& setup, std::string_view) { kept.emplace(setup); }).ok());
  kept->on("late", [](Delivery&) {});
  EXPECT_EQ(kept->status(), POSTERN_E_STATE);
  EXPECT_FALSE(deliver("late").handled);
}

TEST_F(PluginHpp, Health) {
  ASSERT_TRUE(start([](postern::Setup& setup, std::string_view) {
                setup.health(
                    "good",
                    [] {
                      return postern::Health{postern::Health::kHealthy, "fine", R"({"n":1})"};
                    },
                    std::chrono::seconds(5));
                setup.health("bad", []() -> postern::Health { throw std::runtime_error("no line"); });
              }).ok());
  auto results = host->health();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].status, static_cast<uint32_t>(POSTERN_HEALTHY));
  EXPECT_EQ(results[0].details_json, R"({"n":1})");
  EXPECT_EQ(results[0].interval_ms, 5000u);
  EXPECT_EQ(results[1].status, static_cast<uint32_t>(POSTERN_UNHEALTHY));
  EXPECT_EQ(results[1].message, "no line");
}

TEST_F(PluginHpp, MissingExtensions) {
  auto started = start([](postern::Setup&, std::string_view) {}, {.without = {POSTERN_EXT_RECORDS}});
  EXPECT_EQ(started.status, POSTERN_E_UNSUPPORTED);
  EXPECT_THAT(started.error, HasSubstr("postern.records/1"));
  started = start(
      [](postern::Setup& setup, std::string_view) {
        setup.log().info("nobody hears");
        setup.health("h", [] { return postern::Health{}; });
      },
      {.without = {POSTERN_EXT_LOG, POSTERN_EXT_HEALTH}});
  EXPECT_EQ(started.status, POSTERN_E_UNSUPPORTED);
  EXPECT_THAT(started.error, HasSubstr("health check h"));
}

// An older host's table is shorter: what it does not have is not read, and does without.
TEST_F(PluginHpp, AnOlderHostsTableIsNotReadBeyondItsEnd) {
  size_t before_config_fault = offsetof(postern_host_api, config_fault);
  auto started = start([](postern::Setup& setup, std::string_view) { setup.config_fault("/k", "wrong"); },
                       {.host_api_size = before_config_fault});
  EXPECT_EQ(started.status, POSTERN_E_INVALID);
  EXPECT_EQ(started.error, "config/k: wrong");
}

TEST(FakeHostRules, AForeignMajorVersionIsRefusedBeforeAnyCall) {
  postern_plugin_entry entry = kEntry;
  entry.abi_major = 2;
  entry.create = nullptr;
  EXPECT_EQ(FakeHost(entry).start("{}").status, POSTERN_E_UNSUPPORTED);
}

}  // namespace
