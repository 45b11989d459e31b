// Modules as `gateway.yaml` brings them: every fault is told with its place, and plugins do not meet.
#include "core/gateway/assembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

struct Assembled {
  std::unique_ptr<gateway::Assembly> assembly;
  std::vector<config::Fault> faults;
};

// The plugins in lines 10, 20, …
Assembled assemble(std::vector<config::Plugin> plugins) {
  config::Config config;
  for (size_t i = 0; i < plugins.size(); ++i) plugins[i].mark = {static_cast<int>(10 * (i + 1)), 5};
  config.plugins = std::move(plugins);
  Assembled out;
  out.assembly = gateway::Assembly::make(config, out.faults);
  return out;
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
    ingest::Targets targets = out.assembly->targets().match(name, std::string(name) + ".anything");
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

TEST(Assembly, StopsAtThePluginThatCannotBeActivated) {
  Assembled out = assemble({plugin_config("a", "good"), plugin_config("b", "life", R"({"case":"fails"})")});
  ASSERT_TRUE(out.faults.empty());
  EXPECT_EQ(out.assembly->activate().message(), "plugin b: activate: the upstream does not answer");
}

}  // namespace
}  // namespace postern::testing
