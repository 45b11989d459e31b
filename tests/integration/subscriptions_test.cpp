// One plugin's events for another: subscriptions, and what their `when:` lets through.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

constexpr milliseconds kSoon{20000};

TEST(SubscriptionTest, GivesOnePluginsEventsToAnother) {
  Gateway gateway({.plugins = probe_entry(),
                   .subscriptions = "  - {on: openphone.message.*, plugin: probe, with: {into: office}, name: office}\n"
                                    "  - {on: openphone.call.*, plugin: probe, with: {into: calls}}\n"});
  const std::string id = new_event_id();
  ASSERT_EQ(status_of(gateway.post_signed(id, message_body(id))), "queued");
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway.store().deliveries("done") == 2; })) << gateway.log();
  const StoreReader store = gateway.store();
  const auto records = store.rows("SELECT key, value FROM record WHERE plugin = 'probe'");
  ASSERT_EQ(records.size(), 1u) << "one of the two subscriptions is for calls";
  EXPECT_EQ(records[0][0], "office");
  EXPECT_EQ(records[0][1], "[\"" + id + "\"]");
  EXPECT_EQ(store.number("SELECT count(*) FROM delivery WHERE plugin = 'probe' AND subscriber = 'office'"), 1);
  EXPECT_EQ(store.number("SELECT count(*) FROM delivery"), 2) << "openphone's own handlers, and probe's";
}

TEST(SubscriptionTest, APluginMakesItsOwn) {
  const std::string probe = "  - {name: probe, library: " + probe_library() + ", config: {watch: 'openphone.message.*'}}\n";
  Gateway gateway({.plugins = probe});
  const std::string id = new_event_id();
  ASSERT_EQ(status_of(gateway.post_signed(id, message_body(id))), "queued");
  ASSERT_TRUE(eventually(kSoon, [&] { return gateway.store().deliveries("done") == 2; })) << gateway.log();
  const StoreReader store = gateway.store();
  EXPECT_EQ(store.number("SELECT count(*) FROM delivery WHERE plugin = 'probe' AND subscriber = 'watch'"), 1);
  const auto records = store.rows("SELECT key, value FROM record WHERE plugin = 'probe'");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0][0], "watched");
  const auto plugins = nlohmann::json::parse(gateway.command({"plugins", "--json"}).out);
  for (const auto& plugin : plugins) {
    if (plugin["name"] != "probe") continue;
    EXPECT_EQ(plugin["subscribes_to"], nlohmann::json::array({"openphone.message.*"}));
  }
}

TEST(SubscriptionTest, OfTheOperatorMayNotTakeItsName) {
  const std::string probe = "  - {name: probe, library: " + probe_library() + ", config: {watch: 'openphone.message.*'}}\n";
  Gateway gateway({.plugins = probe});
  gateway.write_config(gateway.config() + "subscriptions:\n  - {on: openphone.call.*, plugin: probe, name: watch}\n");
  const Finished finished = gateway.command({"check"});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, ::testing::HasSubstr("the name 'watch' is taken by the plugin itself"));
}

class FilterTest : public ::testing::Test {
 protected:
  // A message of this text from the conversation; waits until all of its deliveries are done.
  std::string send(const std::string& conversation, const std::string& text) {
    const std::string id = new_event_id();
    EXPECT_EQ(status_of(gateway_.post_signed(id, message_body(id, conversation, text))), "queued");
    EXPECT_TRUE(eventually(kSoon, [&] {
      return gateway_.store().number("SELECT count(*) FROM delivery WHERE state != 'done'") == 0;
    })) << gateway_.log();
    return id;
  }
  int64_t deliveries_to(const std::string& subscriber) {
    return gateway_.store().number("SELECT count(*) FROM delivery WHERE plugin = 'probe' AND subscriber = '" + subscriber + "'");
  }

  Gateway gateway_{{.plugins = probe_entry(),
                    .subscriptions =
                        "  - {on: openphone.message.*, when: [{json: /data/context/conversationId, is: CN1}], plugin: probe, with: {into: one}, name: one}\n"
                        "  - {on: openphone.message.*, when: [{json: /data/resource/text, is: '*help*'}, {header: x-nobody, exists: false}], "
                        "plugin: probe, with: {into: help}, name: help}\n"}};
};

TEST_F(FilterTest, EachSubscriberHasADeliveryOfWhatItsFilterLetsThrough) {
  send("CN1", "Hello");
  send("CN2", "I need help now");
  send("CN2", "Hello");
  EXPECT_EQ(deliveries_to("one"), 1);
  EXPECT_EQ(deliveries_to("help"), 1);
  send("CN1", "help");
  EXPECT_EQ(deliveries_to("one"), 2);
  EXPECT_EQ(deliveries_to("help"), 2);
  EXPECT_EQ(gateway_.store().deliveries("done"), 8) << "and openphone's own";
}

TEST_F(FilterTest, AReloadChangesIt) {
  send("CN1", "Hello");
  std::string yaml = gateway_.config();
  const std::string before = "is: CN1";
  ASSERT_NE(yaml.find(before), std::string::npos);
  yaml.replace(yaml.find(before), before.size(), "is_not: CN1");
  gateway_.write_config(yaml);
  const Finished finished = gateway_.command({"reload"}, milliseconds(60'000));
  ASSERT_EQ(finished.exit.code, 0) << finished.err;
  send("CN1", "Hello");
  EXPECT_EQ(deliveries_to("one"), 1);
  send("CN3", "Hello");
  EXPECT_EQ(deliveries_to("one"), 2);
}

TEST_F(FilterTest, WhatIsNoPointerIsToldWithItsPlace) {
  std::string yaml = gateway_.config();
  const std::string before = "json: /data/resource/text";
  yaml.replace(yaml.find(before), before.size(), "json: data.text");
  gateway_.write_config(yaml);
  const Finished finished = gateway_.command({"check"});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, ::testing::HasSubstr("json must be a JSON pointer, as /data/from"));
}

}  // namespace
}  // namespace postern::testing
