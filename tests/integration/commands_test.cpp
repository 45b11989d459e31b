// The `postern` command: what it prints, and how it ends.
#include <gmock/gmock.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/openphone_test.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

nlohmann::json array_of(const Finished& finished) {
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  auto json = nlohmann::json::parse(finished.out, nullptr, false);
  EXPECT_TRUE(json.is_array()) << finished.out;
  return json.is_array() ? json : nlohmann::json::array();
}

class CommandsTest : public OpenphoneTest {
 protected:
  std::string post_message() {  // returns its event_id
    const std::string id = new_event_id();
    return event_id_of(gateway().post_signed(id, message_body(id)));
  }
};

TEST_F(CommandsTest, CheckAcceptsAGoodFile) {
  const Finished finished = gateway().command({"check"});
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  EXPECT_NE(finished.out, "") << "it prints a summary";
  EXPECT_EQ(finished.out.find(gateway().own_secret()), std::string::npos);
}

TEST_F(CommandsTest, CheckTellsEveryFaultWithItsPlace) {
  const std::string file = gateway().folder() + "/faulty.yaml";
  std::ofstream(file) << "gateway:\n"
                         "  listen: [\"127.0.0.1:99999\"]\n"            // 2: no such port
                         "  public_url: https://your-domain.example\n"  // 3: as shipped
                         "  max_boddy: 1MiB\n"                          // 4: a typing mistake
                         "  loops: many\n"                              // 5: not a number
                         "store: {kind: sqlite, path: "
                      << gateway().folder()
                      << "/other.db}\n"
                         "plugins:\n"
                         "  - name: openphone\n"
                         "    library: openphone.so\n"
                         "    config: {webhook_secrets: [\"${env:POSTERN_TEST_NOT_SET}\"]}\n"  // 10: no such variable
                         "surprise: 1\n";                                                      // 11: unknown
  const Finished finished = run(postern_binary(), {"check", "-c", file});
  EXPECT_EQ(finished.exit.code, 1);
  std::vector<int> lines;
  std::istringstream stream(finished.err);
  for (std::string line; std::getline(stream, line);) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(line, match, std::regex(R"((.*):(\d+):(\d+): \S.*)"))) << line;
    EXPECT_EQ(match[1], file);
    EXPECT_GE(std::stoi(match[3]), 1);
    lines.push_back(std::stoi(match[2]));
  }
  EXPECT_TRUE(std::is_sorted(lines.begin(), lines.end())) << finished.err;
  for (const int line : {2, 3, 4, 5, 10, 11}) EXPECT_THAT(lines, ::testing::Contains(line)) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("max_body")) << "the near miss is suggested";
}

TEST_F(CommandsTest, CheckTellsThePlacesOfAPluginsFaults) {
  const std::string file = gateway().folder() + "/plugin.yaml";
  std::ofstream(file) << "gateway: {listen: [\"127.0.0.1:0\"], public_url: \"https://hooks.postern.test\"}\n"
                         "store: {kind: sqlite, path: "
                      << gateway().folder()
                      << "/other.db}\n"
                         "plugin_dir: "
                      << plugin_folder()
                      << "\n"
                         "plugins:\n"
                         "  - name: openphone\n"
                         "    library: openphone.so\n"
                         "    config:\n"
                         "      webhook_secrets: [\"not base64 at all!\"]\n";
  const Finished finished = run(postern_binary(), {"check", "-c", file});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, HasSubstr(file + ":8:"));
  EXPECT_EQ(finished.err.find("not base64 at all!"), std::string::npos) << "a secret is not shown, even a bad one";
}

TEST_F(CommandsTest, CheckOfNoFile) {
  const Finished finished = run(postern_binary(), {"check", "-c", "/no/such/file.yaml"});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, HasSubstr("/no/such/file.yaml:1:1: "));
}

TEST_F(CommandsTest, ServeRefusesAFaultyFile) {
  const std::string file = gateway().folder() + "/serve.yaml";
  std::ofstream(file) << "gateway: {listen: [nonsense]}\n";
  const Finished finished = run(postern_binary(), {"serve", "-c", file});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, HasSubstr(file + ":1:"));
}

TEST_F(CommandsTest, PluginsAndRoutes) {
  EXPECT_THAT(gateway().command({"plugins"}).out, HasSubstr("openphone"));
  EXPECT_THAT(gateway().command({"plugins", "--json"}).out, HasSubstr("\"openphone\""));
  const Finished routes = gateway().command({"routes"});
  EXPECT_EQ(routes.exit.code, 0) << routes.err;
  EXPECT_THAT(routes.out, HasSubstr("POST"));
  EXPECT_THAT(routes.out, HasSubstr(std::string(kOpenphonePath)));
  EXPECT_FALSE(array_of(gateway().command({"routes", "--json"})).empty());
  EXPECT_FALSE(array_of(gateway().command({"plugins", "--json"})).empty());
}

TEST_F(CommandsTest, SendIsAcceptedAndHandled) {
  const int64_t before = gateway().store().events();
  const Finished finished = gateway().command({"send", "openphone", "message.received"});
  EXPECT_EQ(finished.exit.code, 0) << finished.err << finished.out;
  EXPECT_THAT(finished.out, HasSubstr("200"));
  EXPECT_EQ(gateway().store().events(), before + 1);
  const Finished three =
      gateway().command({"send", "openphone", "message.received", "--count", "3", "--to", gateway().url()});
  EXPECT_EQ(three.exit.code, 0) << three.err;
  EXPECT_EQ(gateway().store().events(), before + 4) << "each one is an event of its own";
  EXPECT_TRUE(eventually(milliseconds(20000), [&] { return gateway().store().unsettled() == 0; }));
}

TEST_F(CommandsTest, SendOfNoSuchSample) {
  EXPECT_EQ(gateway().command({"send", "openphone", "no.such.sample"}).exit.code, 1);
  EXPECT_EQ(gateway().command({"send", "nobody", "message.received"}).exit.code, 1);
}

TEST_F(CommandsTest, SendToNobody) {
  const Finished finished = gateway().command({"send", "openphone", "message.received", "--to", "http://127.0.0.1:1"});
  EXPECT_NE(finished.exit.code, 0);
  EXPECT_NE(finished.err, "");
}

TEST_F(CommandsTest, EventsListAndShow) {
  const std::string event_id = post_message();
  const auto list = array_of(gateway().command({"events", "list", "--json"}));
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const auto& event) { return event.value("event_id", "") == event_id; });
  ASSERT_NE(found, list.end()) << list;
  EXPECT_EQ(found->value("provider", ""), "openphone");
  EXPECT_EQ(found->value("type", ""), "openphone.message.received");
  EXPECT_EQ(found->value("order_key", ""), "CN1");
  EXPECT_TRUE(found->contains("external_id") && found->contains("seq") && found->contains("received_at")) << *found;
  EXPECT_THAT(gateway().command({"events", "list"}).out, HasSubstr(event_id));

  const Finished shown = gateway().command({"events", "show", event_id, "--json"});
  EXPECT_EQ(shown.exit.code, 0) << shown.err;
  const auto event = nlohmann::json::parse(shown.out, nullptr, false);
  ASSERT_TRUE(event.is_object()) << shown.out;
  EXPECT_EQ(event.value("event_id", ""), event_id);
  EXPECT_TRUE(event.contains("body"));
  EXPECT_EQ(gateway().command({"events", "show", "evt_nosuchevent"}).exit.code, 1);
}

TEST_F(CommandsTest, Status) {
  const Finished finished = gateway().command({"status"});
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  EXPECT_NE(finished.out, "");
  const Finished json = gateway().command({"status", "--json"});
  EXPECT_EQ(json.exit.code, 0) << json.err;
  EXPECT_TRUE(nlohmann::json::parse(json.out, nullptr, false).is_object()) << json.out;
}

TEST_F(CommandsTest, WrongUsage) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{{},
                                                                                    {"no-such-command"},
                                                                                    {"serve", "--no-such-option"},
                                                                                    {"send", "openphone"},
                                                                                    {"events"},
                                                                                    {"events", "show"}}) {
    const Finished finished = run(postern_binary(), args);
    EXPECT_EQ(finished.exit.code, 2) << (args.empty() ? "no command" : args.back());
    EXPECT_NE(finished.err, "");
  }
  EXPECT_EQ(run(postern_binary(), {"--help"}).exit.code, 0);
}

// jemalloc would: in a container with a cpuset, or with CPUAffinity= of systemd.
TEST_F(CommandsTest, OnSomeCoresOnlyNothingElseIsSaid) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  if (CPU_COUNT(&before) < 2) GTEST_SKIP() << "this machine has one core";
  CPU_ZERO(&one);
  for (int core = 0; CPU_COUNT(&one) == 0; ++core) {
    if (CPU_ISSET(core, &before)) CPU_SET(core, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);  // what this thread starts has it too
  const Finished finished = gateway().command({"--version"});
  sched_setaffinity(0, sizeof before, &before);
  EXPECT_EQ(finished.exit.code, 0);
  EXPECT_EQ(finished.err, "");
}

TEST(CommandsWithoutAGatewayTest, NoGatewayAnswers) {
  Gateway gateway;
  gateway.stop();
  for (const auto& args : std::vector<std::vector<std::string>>{{"status"}, {"events", "list"}, {"dead", "list"}}) {
    const Finished finished = gateway.command(args);
    EXPECT_EQ(finished.exit.code, 3) << args[0];
    EXPECT_NE(finished.err, "");
  }
}

TEST(DeadTest, ListTellsWhatDiedAndWhy) {
  Gateway gateway({.plugins = "  - {name: probe, library: " + probe_library() + "}\n"});
  EXPECT_EQ(array_of(gateway.command({"dead", "list", "--json"})).size(), 0u);
  const Response response =
      gateway.request("POST", "/probe", {{"Content-Type", "application/json"}}, R"({"id":"a","type":"t","do":"dead"})");
  ASSERT_TRUE(eventually(milliseconds(20000), [&] { return gateway.store().deliveries("dead") == 1; }));
  const auto dead = array_of(gateway.command({"dead", "list", "--json"}));
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].value("event_id", ""), event_id_of(response));
  EXPECT_EQ(dead[0].value("plugin", ""), "probe");
  EXPECT_THAT(dead[0].value("last_error", ""), HasSubstr("asked to die"));
  EXPECT_THAT(gateway.command({"dead", "list"}).out, HasSubstr("asked to die"));
}

}  // namespace
}  // namespace postern::testing
