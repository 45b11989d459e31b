// Modules as `gateway.yaml` brings them: every fault is told with its place, and plugins do not meet.
#include "core/gateway/assembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

struct Assembled {
  std::unique_ptr<gateway::Assembly> assembly;
  std::vector<config::Fault> faults;
};

// The plugins in lines 10, 20, …; the subscriptions where they say.
Assembled assemble(std::vector<config::Plugin> plugins, std::vector<config::Subscription> subscriptions = {}) {
  config::Config config;
  config.max_body = 1000;
  config.subscriptions = std::move(subscriptions);
  for (size_t i = 0; i < plugins.size(); ++i) plugins[i].mark = {static_cast<int>(10 * (i + 1)), 5};
  config.plugins = std::move(plugins);
  Assembled out;
  out.assembly = gateway::Assembly::make(config, out.faults);
  return out;
}

ingest::Targets match(const gateway::Assembly& assembly, const std::string& provider, const std::string& type) {
  ingest::NewEvent event;
  event.provider = provider;
  event.type = type;
  return assembly.targets().match(event);
}

TEST(Assembly, TellsTheFaultsOfAllPluginsAtOnce) {
  Assembled out = assemble({plugin_config("a", "major_99"), plugin_config("b", "good"), plugin_config("c", "init", R"({"case":"throws"})"),
                            plugin_config("d", "absent")});
  ASSERT_EQ(out.faults.size(), 3u);
  EXPECT_EQ(config::to_text("f", out.faults[0]),
            "f:10:5: plugin a: " + module_path("major_99") +
                ": was built for version 99 of the plugin ABI, this gateway has version 1; install the plugin's build for this gateway");
  EXPECT_EQ(config::to_text("f", out.faults[1]), "f:30:5: plugin c: init: exception: no such account");
  EXPECT_EQ(config::to_text("f", out.faults[2]), "f:40:5: plugin d: " + module_path("absent") + ": no such file; is the plugin installed?");
}

TEST(Assembly, RefusesTwoPluginsWithOneRoute) {
  Assembled out = assemble({plugin_config("a", "good"), plugin_config("b", "good")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(config::to_text("f", out.faults[0]), ::testing::StartsWith("f:20:5: plugin b: route /good: "));
}

TEST(Assembly, KeepsTwoInstancesOfOneLibraryApart) {
  Assembled out = assemble({plugin_config("a", "good", R"({"path":"/a"})"), plugin_config("b", "good", R"({"path":"/b"})")});
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  ASSERT_TRUE(out.assembly->activate());
  const auto& routes = out.assembly->routes().routes();
  ASSERT_EQ(routes.size(), 2u);
  EXPECT_EQ(routes[0]->provider + routes[0]->path, "a/a");
  EXPECT_EQ(routes[1]->provider + routes[1]->path, "b/b");
  for (const char* name : {"a", "b"}) {
    ingest::Targets targets = match(*out.assembly, name, std::string(name) + ".anything");
    ASSERT_EQ(targets->size(), 1u);
    EXPECT_EQ((*targets)[0].plugin, name);
  }
  // Each handler was registered with its own instance as `user` and compares the two.
  for (const auto& instance : out.assembly->instances()) {
    const plugin::Handler& handler = instance->registrations().handlers.at(0);
    const plugin::Handler& other = out.assembly->instances()[instance->name() == "a" ? 1 : 0]->registrations().handlers.at(0);
    EXPECT_NE(handler.user, other.user);
  }
  out.assembly->deactivate(0);
}

// They would be shown under one name.
TEST(Assembly, RefusesTwoMetricsThatReadAlike) {
  Assembled out = assemble({plugin_config("a", "registers", R"({"case":"metric_b_level"})"),
                            plugin_config("a_b", "registers", R"({"case":"metric_level"})")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]),
            "f:20:5: plugin a_b: the metric postern_plugin_a_b_level is shown for plugin a already; name the plugin otherwise");
  out = assemble({plugin_config("a", "registers", R"({"case":"metric_level"})"),
                  plugin_config("b", "registers", R"({"case":"metric_level"})")});
  EXPECT_TRUE(out.faults.empty()) << out.faults[0].message;
}

// ---- what plugins do for one another

std::string service_json(const std::string& key, const std::string& name) { return "{\"" + key + "\":\"" + name + "\"}"; }

TEST(Services, AreFoundWhateverTheOrder) {
  for (bool publisher_first : {true, false}) {
    config::Plugin publisher = plugin_config("post", "services", service_json("publishes", "mail/1"));
    config::Plugin caller = plugin_config("bills", "services", service_json("wants", "mail/1"));
    Assembled out = publisher_first ? assemble({publisher, caller}) : assemble({caller, publisher});
    ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
    const auto& wishes = out.assembly->instances()[publisher_first ? 1 : 0]->registrations().wishes;
    ASSERT_EQ(wishes.size(), 1u);
    EXPECT_EQ(wishes[0].service->plugin(), "post");
  }
}

TEST(Services, MayNeedOneAnother) {
  Assembled out = assemble({plugin_config("a", "services", R"({"publishes":"a/1","wants":"b/1"})"),
                            plugin_config("b", "services", R"({"publishes":"b/1","wants":"a/1"})")});
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  ASSERT_TRUE(out.assembly->activate());
  EXPECT_TRUE(out.assembly->stop_calls(0));
  out.assembly->deactivate(0);
}

TEST(Services, OneThatNobodyPublishesIsAFault) {
  Assembled out = assemble({plugin_config("bills", "services", service_json("wants", "mail/1")),
                            plugin_config("post", "services", service_json("publishes", "mail/2"))});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]),
            "f:10:5: plugin bills needs the service mail/1, which no plugin publishes; did you mean 'mail/2'?; "
            "there are: mail/2 (plugin post)");
  out = assemble({plugin_config("bills", "services", service_json("wants", "mail/1"))});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(out.faults[0].message, HasSubstr("no plugin publishes any"));
  out = assemble({plugin_config("bills", "services", service_json("optional", "mail/1"))});
  EXPECT_TRUE(out.faults.empty());
  EXPECT_EQ(out.assembly->instances()[0]->registrations().wishes.at(0).service, nullptr);
}

// The plugin that publishes it may be the one that could not be loaded.
TEST(Services, AMissingOneIsNotToldBesideAnotherFault) {
  Assembled out = assemble({plugin_config("bills", "services", service_json("wants", "mail/1")), plugin_config("post", "absent")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(out.faults[0].message, HasSubstr("no such file"));
}

TEST(Services, OneNameHasOnePlugin) {
  Assembled out = assemble({plugin_config("post", "services", service_json("publishes", "mail/1")),
                            plugin_config("letters", "services", service_json("publishes", "mail/1"))});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]),
            "f:20:5: plugin letters: the service mail/1 is published by plugin post already; only one of them can be in a configuration");
}

// ---- what an operator may set on a route

config::RouteOverride set_on(const std::string& path) {
  config::RouteOverride set;
  set.path = path;
  set.mark = {15, 9};
  return set;
}

Assembled assemble_with(const config::RouteOverride& set) {
  config::Plugin plugin = plugin_config("a", "good");
  plugin.routes = {set};
  return assemble({plugin});
}

TEST(Overrides, LeaveAloneWhatTheyDoNotSet) {
  Assembled out = assemble_with(set_on("/good"));
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  const ingest::Route& route = *out.assembly->routes().routes().at(0);
  EXPECT_EQ(route.max_body, 1000u) << "the gateway's";
  EXPECT_EQ(route.wait_ms, 0);
  EXPECT_EQ(route.reject_status, 401);
  EXPECT_TRUE(route.ordered);
  EXPECT_EQ(route.rules.rate, nullptr);
  EXPECT_TRUE(route.rules.allow.empty());
}

TEST(Overrides, WinOverThePlugin) {
  config::RouteOverride set = set_on("/good");
  set.wait = std::chrono::milliseconds(5000);
  set.rate = 2;
  set.allow = {"192.0.2.0/24"};
  set.max_body = 77;
  set.reject_status = 400;
  set.ordered = false;
  Assembled out = assemble_with(set);
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  const ingest::Route& route = *out.assembly->routes().routes().at(0);
  EXPECT_EQ(route.wait_ms, 5000);
  ASSERT_NE(route.rules.rate, nullptr);
  EXPECT_EQ(route.rules.rate->take(1) + route.rules.rate->take(1), 0);
  EXPECT_GT(route.rules.rate->take(1), 0);
  EXPECT_TRUE(route.rules.allow.contains("192.0.2.7"));
  EXPECT_FALSE(route.rules.allow.contains("198.51.100.7"));
  EXPECT_EQ(route.max_body, 77u);
  EXPECT_EQ(route.reject_status, 400);
  EXPECT_FALSE(route.ordered);
}

TEST(Overrides, OfARouteThatIsNotThereAreAFault) {
  for (const char* path : {"/goof", "/good/", "/", ""}) {
    Assembled out = assemble_with(set_on(path));
    ASSERT_EQ(out.faults.size(), 1u);
    EXPECT_EQ(config::to_text("f", out.faults[0]), "f:15:9: plugin a has no route " + std::string(path) + "; see `postern routes`");
  }
}

TEST(Overrides, OfOnePluginDoNotReachAnothers) {
  config::Plugin plugin = plugin_config("b", "good", R"({"path":"/b"})");
  plugin.routes = {set_on("/a")};
  Assembled out = assemble({plugin_config("a", "good", R"({"path":"/a"})"), plugin});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(out.faults[0].message, HasSubstr("plugin b has no route /a"));
}

Assembled assemble_replies_with(const config::RouteOverride& set) {
  config::Plugin plugin = plugin_config("a", "replies");
  plugin.routes = {set};
  return assemble({plugin});
}

const ingest::Route& route_of(const Assembled& out, const std::string& path) {
  for (const auto& route : out.assembly->routes().routes()) {
    if (route->path == path) return *route;
  }
  throw std::runtime_error("no route " + path);
}

TEST(Overrides, GiveAReplyRouteItsDeadline) {
  config::RouteOverride set = set_on("/well");
  set.deadline = std::chrono::milliseconds(2500);
  Assembled out = assemble_replies_with(set);
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  EXPECT_EQ(route_of(out, "/well").deadline_ms, 2500);
  EXPECT_EQ(route_of(out, "/throws").deadline_ms, 10'000) << "the others keep theirs";
}

TEST(Overrides, GiveEachKindOfRouteOnlyWhatItHas) {
  config::RouteOverride wait = set_on("/well"), deadline = set_on("/good");
  wait.wait = std::chrono::milliseconds(0);
  deadline.deadline = std::chrono::milliseconds(2500);
  Assembled out = assemble_replies_with(wait);
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]), "f:15:9: route /well replies by itself: it has a deadline, no wait");
  out = assemble_with(deadline);
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]), "f:15:9: route /good is an event route: it has a wait, no deadline");
}

// ---- threads

TEST(Threads, AreEachPluginsOwn) {
  config::RouteOverride none = set_on("/well");
  Assembled out = assemble_replies_with(none);
  EXPECT_EQ(route_of(out, "/well").replying, route_of(out, "/throws").replying) << "one pool for a plugin";
  Assembled other = assemble({plugin_config("b", "replies")});
  EXPECT_NE(route_of(out, "/well").replying, route_of(other, "/well").replying);
  Assembled events = assemble({plugin_config("c", "good")});
  EXPECT_EQ(route_of(events, "/good").replying, nullptr) << "what has no such calls has no threads for them";
  EXPECT_TRUE(events.assembly->call_threads().empty());
  EXPECT_TRUE(out.assembly->stop_calls(0)) << "there is nothing to wait for";
}

// ---- schemes of other plugins

config::Plugin foreign_config(const std::string& name, const std::string& scheme) {
  return plugin_config(name, "verifies", service_json("foreign", scheme));
}

TEST(ForeignSchemes, AreFoundWhateverTheOrderAndRunOnTheirPluginsThreads) {
  for (bool owner_first : {true, false}) {
    config::Plugin owner = plugin_config("owner", "verifies"), user = foreign_config("user", "owner:accepts");
    Assembled out = owner_first ? assemble({owner, user}) : assemble({user, owner});
    ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
    const auto& theirs = route_of(out, "/foreign").schemes.at(0);
    const auto& own = route_of(out, "/verify/accepts").schemes.at(0);
    EXPECT_EQ(theirs.scheme, own.scheme) << "the very same, with its plugin's instance and secrets";
    EXPECT_EQ(theirs.label(), "owner:accepts");
    EXPECT_EQ(own.label(), "accepts");
    ASSERT_NE(theirs.verifying, nullptr);
    EXPECT_EQ(theirs.verifying, own.verifying);
    ASSERT_EQ(out.assembly->call_threads().size(), 1u);
    EXPECT_EQ(out.assembly->call_threads()[0].plugin, "owner");
    EXPECT_TRUE(out.assembly->stop_calls(0));
  }
}

TEST(ForeignSchemes, OfAPluginThatIsHeldAreNotCalled) {
  Assembled out = assemble({plugin_config("owner", "verifies"), foreign_config("user", "owner:accepts")});
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  auto hold = [&](const std::string& plugin) {
    plugin::Standing standing;
    standing.plugin = plugin;
    standing.held_until = 1;
    out.assembly->judge(standing);
  };
  hold("user");
  struct Nothing : ingest::CallPool::Call {
    using Call::Call;
    void run() override {}
  };
  auto& pool = *route_of(out, "/foreign").schemes.at(0).verifying;
  EXPECT_TRUE(pool.submit(std::make_shared<Nothing>(INT64_MAX, 0))) << "what is held is whose route it is, and not asked here";
  hold("owner");
  EXPECT_FALSE(pool.submit(std::make_shared<Nothing>(INT64_MAX, 0)));
}

TEST(ForeignSchemes, OneThatNobodyRegistersIsAFault) {
  Assembled out = assemble({foreign_config("user", "owner:acepts"), plugin_config("owner", "verifies")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(config::to_text("f", out.faults[0]),
              ::testing::StartsWith("f:10:5: plugin user: route /foreign needs the scheme 'owner:acepts', which no plugin registers; "
                                    "did you mean 'owner:accepts'?; there are: owner:accepts, owner:denies, "));
  out = assemble({foreign_config("user", "twilio:twilio"), plugin_config("owner", "verifies")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(out.faults[0].message, HasSubstr("; add the plugin that does to `plugins:`, by the name 'twilio'; there are: owner:"));
  out = assemble({foreign_config("user", "twilio:twilio")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(out.faults[0].message, HasSubstr("which no plugin registers, nor any other; add the plugin that does"));
}

// The plugin that registers it may be the one that could not be loaded.
TEST(ForeignSchemes, AMissingOneIsNotToldBesideAnotherFault) {
  Assembled out = assemble({foreign_config("user", "owner:accepts"), plugin_config("owner", "absent")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_THAT(out.faults[0].message, HasSubstr("no such file"));
}

TEST(ForeignSchemes, ANameOfHalfIsNone) {
  for (const char* name : {":accepts", "owner:", ":", "accepts"}) {
    Assembled out = assemble({foreign_config("user", name), plugin_config("owner", "verifies")});
    ASSERT_EQ(out.faults.size(), 1u) << name;
    EXPECT_THAT(out.faults[0].message, HasSubstr("unknown scheme '" + std::string(name) + "'; add it before the route"));
  }
}

// ---- subscriptions

config::Subscription subscription(const std::string& name, const std::string& on, const std::string& plugin) {
  config::Subscription out;
  out.name = name;
  out.mark = {90, 5};
  out.on = on;
  out.plugin = plugin;
  out.with_json = R"({"to":"x"})";
  return out;
}

TEST(Subscriptions, TakeWhatTheyName) {
  Assembled out = assemble({plugin_config("a", "good"), plugin_config("b", "handler")}, {subscription("mail", "a.message.*", "b")});
  ASSERT_TRUE(out.faults.empty()) << out.faults[0].message;
  auto names = [&](const std::string& provider, const std::string& type) {
    std::vector<std::string> list;
    for (const ingest::Target& target : *match(*out.assembly, provider, type))
      list.push_back(target.plugin + "/" + target.subscriber);
    return list;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(names("a", "a.message.received"), ElementsAre("a/handlers", "b/mail"));
  EXPECT_THAT(names("a", "a.call.completed"), ElementsAre("a/handlers"));
  EXPECT_THAT(names("c", "a.message.received"), ElementsAre("b/mail"));
  EXPECT_THAT(names("c", "message.received"), ElementsAre());
  EXPECT_THAT(names("b", "b.throws"), ElementsAre("b/handlers"));
  ASSERT_EQ(out.assembly->subscribers().size(), 3u);
  const dispatch::Subscriber& mail = out.assembly->subscribers()[2];
  EXPECT_EQ(mail.plugin + "/" + mail.name, "b/mail");
  EXPECT_EQ(mail.with_json, R"({"to":"x"})");
}

TEST(Subscriptions, NeedAPluginThatTakesThem) {
  Assembled out = assemble({plugin_config("a", "good")}, {subscription("mail", "*", "a")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]), "f:90:5: plugin a takes no subscriptions");
}

TEST(Subscriptions, MayNotTakeTheNameOfThePluginsOwnHandlers) {
  Assembled out = assemble({plugin_config("b", "handler")}, {subscription("handlers", "*", "b")});
  ASSERT_EQ(out.faults.size(), 1u);
  EXPECT_EQ(config::to_text("f", out.faults[0]), "f:90:5: the name 'handlers' is taken by the plugin itself; give the subscription another");
}

TEST(Subscriptions, ToAPluginThatDidNotLoadAreNoSecondFault) {
  Assembled out = assemble({plugin_config("b", "major_99")}, {subscription("mail", "*", "b")});
  EXPECT_EQ(out.faults.size(), 1u);
}

// Both report under the name of their health check; in one answer a key can be there only once.
TEST(Assembly, KeepsTheHealthChecksOfTwoInstancesApart) {
  Assembled out = assemble({plugin_config("a", "handler"), plugin_config("b", "handler")});
  std::vector<std::string> names;
  for (const auto& instance : out.assembly->instances()) {
    for (const auto& check : instance->registrations().health_checks) names.push_back(check.name);
  }
  std::sort(names.begin(), names.end());
  bool unique = std::adjacent_find(names.begin(), names.end()) == names.end();
  EXPECT_TRUE(unique || !out.faults.empty()) << "/api/health/ would show one name twice";
}

TEST(Assembly, StopsAtThePluginThatCannotBeActivated) {
  Assembled out = assemble({plugin_config("a", "good"), plugin_config("b", "life", R"({"case":"fails"})")});
  ASSERT_TRUE(out.faults.empty());
  EXPECT_EQ(out.assembly->activate().message(), "plugin b: activate: the upstream does not answer");
}

}  // namespace
}  // namespace postern::testing
