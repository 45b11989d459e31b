// A configuration that is loaded again while the gateway works, by signal and by command.
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/integration/openphone_test.h"
#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kSoon(10'000);

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Reload : public ::testing::Test {
 protected:
  json status() const { return json::parse(gateway_.command({"status", "--json"}).out, nullptr, false); }
  uint64_t generation() const { return status()["reload"]["generation"]; }
  size_t generations() const { return status()["reload"]["generations"].size(); }
  Finished reload() const { return gateway_.command({"reload"}, milliseconds(60'000)); }
  void change(const std::string& what, const std::string& by) {
    std::string yaml = gateway_.config();
    size_t at = yaml.find(what);
    ASSERT_NE(at, std::string::npos) << yaml;
    gateway_.write_config(yaml.replace(at, what.size(), by));
  }
  Response send(const std::string& id, const std::string& what, const std::string& file = "") {
    WireClient client = gateway_.connect();
    client.send(probe_request(id, what, file));
    return *client.read_response();
  }
  std::string one(const std::string& sql) const {
    const auto rows = gateway_.store().rows(sql);
    return rows.empty() ? "" : rows.front().front();
  }
  // How a delivery of the probe stands.
  std::string state_of(const std::string& id) const {
    return one("SELECT d.state FROM delivery d JOIN event e ON e.seq = d.event WHERE e.external_id = '" + id + "'");
  }
  bool is_done(const std::string& id) const {
    return eventually(kSoon, [&] { return state_of(id) == "done"; });
  }
  std::string module(const std::string& name, const std::string& which) const {
    return "  - {name: odd, library: " + built("tests/abi_modules/" + name + ".so") + ", config: {case: " + which + "}}\n";
  }

  Gateway gateway_{GatewayOptions{.plugins = probe_entry()}};
};

TEST_F(Reload, ByCommandAndBySignal) {
  Finished finished = reload();
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  EXPECT_EQ(finished.out, "reloaded  generation 2\n");
  gateway_.process().send_signal(SIGHUP);
  EXPECT_TRUE(eventually(kSoon, [&] { return generation() == 3; }));
  EXPECT_TRUE(eventually(kSoon, [&] { return generations() == 1; })) << "nothing is under way in those before";
  const json plugins = json::parse(gateway_.command({"plugins", "--json"}).out);
  for (const json& plugin : plugins) EXPECT_EQ(plugin["generation"], 3) << plugin;
  EXPECT_EQ(send("a", "done").status, 200);
  EXPECT_TRUE(is_done("a"));
}

TEST_F(Reload, SecretsAndRoutesAreTheNewOnes) {
  const std::string id = new_event_id(), body = message_body(id);
  const Headers before = gateway_.sign(id, body);
  EXPECT_EQ(status_of(gateway_.post(before, body)), "queued");
  std::ofstream(gateway_.folder() + "/standard.secret", std::ios::trunc) << new_standard_secret();
  change(probe_entry(), probe_at("probe", "/elsewhere"));
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_EQ(gateway_.post(before, body).status, 401);
  EXPECT_EQ(send("a", "done").status, 404);
}

TEST_F(Reload, IsRefusedAsAWhole) {
  const std::string works = gateway_.config();
  auto refused = [&](const std::string& yaml) {
    gateway_.write_config(yaml);
    Finished finished = reload();
    EXPECT_EQ(finished.exit.code, 1) << yaml << finished.out;
    gateway_.write_config(works);
    return finished.err;
  };
  EXPECT_THAT(refused(works + "nonsense: 1\n"), HasSubstr("unknown key 'nonsense'"));
  EXPECT_THAT(refused(""), HasSubstr("the file is empty"));
  const std::string other = probe_entry();
  std::string twice = works;
  twice.replace(twice.find(other), other.size(), other + probe_at("other", "/probe"));
  EXPECT_THAT(refused(twice), HasSubstr("plugin other: route /probe"));
  EXPECT_EQ(generation(), 1u);
  EXPECT_EQ(send("a", "done").status, 200);
}

// `postern reload` reads the file for itself, to find the gateway: what a signal leads to is told by `status` and in the log.
TEST_F(Reload, WhatWasWrongIsToldLater) {
  const std::string works = gateway_.config();
  gateway_.write_config(works + "nonsense: 1\n");
  gateway_.process().send_signal(SIGHUP);
  EXPECT_TRUE(gateway_.logs("not reloaded; the configuration from before goes on"));
  gateway_.write_config(works);
  EXPECT_THAT(status()["reload"]["error"].get<std::string>(), HasSubstr("unknown key 'nonsense'"));
  EXPECT_THAT(gateway_.command({"status"}).out, HasSubstr("was refused; generation 1 goes on"));
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_TRUE(status()["reload"]["error"].is_null());
}

// None of them may take the gateway with it.
TEST_F(Reload, APluginThatMisbehavesInInitIsRefused) {
  const std::string works = gateway_.config();
  const std::pair<std::string, const char*> table[] = {
      {module("init", "throws"), "plugin odd: init: exception: no such account"},
      {module("init", "exits"), "plugin odd called exit() in init"},
      {module("init", "crashes"), "trying it out crashed while plugin odd was loaded: Aborted"},
      {module("no_entry", "none"), "has no symbol postern_entry"},
      {module("major_99", "none"), "was built for version 99 of the plugin ABI"},
      {module("missing_library", "none"), "libnot-installed.so.1"}};
  for (const auto& [entry, why] : table) {
    std::string yaml = works;
    yaml.replace(yaml.find(probe_entry()), 0, entry);
    gateway_.write_config(yaml);
    Finished finished = reload();
    EXPECT_EQ(finished.exit.code, 1) << entry;
    EXPECT_THAT(finished.err, HasSubstr(why));
  }
  gateway_.write_config(works);
  EXPECT_EQ(send("a", "done").status, 200);
  EXPECT_EQ(generation(), 1u);
}

TEST_F(Reload, APluginThatHangsInInitIsRefusedWhileTheOthersWork) {
  const std::string works = gateway_.config();
  std::string yaml = works;
  gateway_.write_config(yaml.replace(yaml.find(probe_entry()), 0, module("init", "hangs")));
  gateway_.process().send_signal(SIGHUP);
  ASSERT_TRUE(eventually(kSoon, [&] { return !status()["reload"]["under_way"].is_null(); }));
  EXPECT_EQ(send("a", "done").status, 200);
  EXPECT_TRUE(is_done("a"));
  gateway_.write_config(works);
  EXPECT_TRUE(eventually(milliseconds(60'000), [&] { return status()["reload"]["error"].is_string(); }));
  EXPECT_THAT(status()["reload"]["error"].get<std::string>(), HasSubstr("more than 30 s while plugin odd was loaded"));
}

TEST_F(Reload, WhatIsUnderWayStaysWithThePluginThatItBeganWith) {
  Barrier barrier(gateway_, "barrier");
  EXPECT_EQ(send("a", "block", barrier.file()).status, 200);
  ASSERT_TRUE(barrier.reached());
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_EQ(generations(), 2u);
  const std::string shown = gateway_.command({"plugins"}).out;
  EXPECT_THAT(shown, HasSubstr("1 ending"));
  EXPECT_EQ(send("b", "done").status, 200);
  EXPECT_TRUE(is_done("b")) << "by the new one, meanwhile";
  barrier.open();
  EXPECT_TRUE(is_done("a"));
  EXPECT_TRUE(eventually(kSoon, [&] { return generations() == 1; }));
}

TEST_F(Reload, ADetachedReplyIsAnsweredByThePluginThatHasIt) {
  Barrier barrier(gateway_, "barrier");
  WireClient client = gateway_.connect();
  client.send(reply_request("/probe/reply/detached_blocks", barrier.file()));
  ASSERT_TRUE(barrier.reached());
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_EQ(generations(), 2u);
  barrier.open();
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_TRUE(eventually(kSoon, [&] { return generations() == 1; }));
}

// It keeps the handle for ever: that must not keep the plugin.
TEST_F(Reload, AHandleThatAPluginLosesDoesNotKeepIt) {
  change(probe_entry(), "  - {name: probe, library: " + probe_library() + ", deadline: 300ms}\n");
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_EQ(send("a", "lost").status, 200);
  EXPECT_TRUE(eventually(kSoon, [&] { return one("SELECT count(*) FROM attempt") == "1"; }));
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_TRUE(eventually(kSoon, [&] { return generations() == 1; }));
}

TEST_F(Reload, DeliveriesOfAPluginThatHasGoneWaitUntilItComesBack) {
  const std::string with = gateway_.config();
  EXPECT_EQ(send("a", "retry_once").status, 200);  // in a minute
  EXPECT_TRUE(eventually(kSoon, [&] { return one("SELECT count(*) FROM attempt") == "1"; }));
  change(probe_entry(), "");
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_EQ(send("b", "done").status, 404);
  EXPECT_TRUE(eventually(kSoon, [&] { return status()["dispatch"]["orphans"] == 1; }));
  gateway_.write_config(with);
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_TRUE(eventually(kSoon, [&] { return status()["dispatch"]["orphans"] == 0; }));
  EXPECT_EQ(send("b", "done").status, 200);
  EXPECT_TRUE(is_done("b"));
  EXPECT_EQ(state_of("a"), "queued");
}

TEST_F(Reload, SubscriptionsComeAndGo) {
  const std::string without = gateway_.config();
  gateway_.write_config(without +
                        "subscriptions:\n  - {on: openphone.message.received, plugin: probe, name: copy, with: {into: copied}}\n");
  ASSERT_EQ(reload().exit.code, 0);
  const std::string id = new_event_id();
  EXPECT_EQ(status_of(gateway_.post_signed(id, message_body(id))), "queued");
  EXPECT_TRUE(eventually(kSoon, [&] {
    return one("SELECT count(*) FROM delivery WHERE subscriber = 'copy' AND state = 'done'") == "1";
  }));
  gateway_.write_config(without);
  ASSERT_EQ(reload().exit.code, 0);
  const std::string another = new_event_id();
  EXPECT_EQ(status_of(gateway_.post_signed(another, message_body(another))), "queued");
  EXPECT_EQ(one("SELECT count(*) FROM delivery WHERE subscriber = 'copy'"), "1");
}

TEST_F(Reload, MetricsGoOnWhereTheyStood) {
  const std::string id = new_event_id();
  EXPECT_EQ(status_of(gateway_.post_signed(id, message_body(id))), "queued");
  ASSERT_EQ(reload().exit.code, 0);
  const std::string another = new_event_id();
  EXPECT_EQ(status_of(gateway_.post_signed(another, message_body(another))), "queued");
  WireClient client = WireClient::unix_socket(gateway_.socket_path());
  client.send(request_text("GET", "/metrics", {}, ""));
  const std::string metrics = client.read_response()->body;
  EXPECT_THAT(metrics, HasSubstr("webhook_received_total{type=\"openphone.message.received\",source=\"openphone\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("postern_config_generation 2\n"));
}

TEST_F(Reload, WhatNeedsARestartIsTold) {
  change("listen: [127.0.0.1:" + std::to_string(gateway_.port()) + "]", "listen: [127.0.0.1:" + std::to_string(free_port()) + "]");
  Finished finished = reload();
  EXPECT_EQ(finished.exit.code, 0);
  EXPECT_THAT(finished.out, HasSubstr("gateway.listen has changed: it is used from the next start on"));
  EXPECT_EQ(send("a", "done").status, 200) << "where it was";
}

// A file that is overwritten while its code runs, and one that is cut off.
TEST_F(Reload, CodeThatRunsIsNotTouchedByWhatBecomesOfItsFile) {
  const std::string library = gateway_.folder() + "/own.so";
  const std::string whole = content(probe_library());
  std::ofstream(library, std::ios::binary) << whole;
  change(probe_library(), library);
  ASSERT_EQ(reload().exit.code, 0);
  std::ofstream(library, std::ios::binary | std::ios::trunc) << whole.substr(0, whole.size() / 2);
  EXPECT_EQ(send("a", "done").status, 200);
  EXPECT_TRUE(is_done("a"));
  Finished finished = reload();
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, HasSubstr("own.so: is not a shared library for this machine, or is damaged"));
  std::ofstream(library, std::ios::binary | std::ios::trunc) << whole << "of another build";
  ASSERT_EQ(reload().exit.code, 0);
  EXPECT_EQ(send("b", "done").status, 200);
  EXPECT_TRUE(is_done("b"));
  EXPECT_EQ(generation(), 3u);
}

TEST_F(Reload, StopsWhileOneIsUnderWay) {
  for (int i = 0; i < 3; ++i) gateway_.process().send_signal(SIGHUP);
  EXPECT_EQ(gateway_.stop().code, 0);
}

}  // namespace
}  // namespace postern::testing
