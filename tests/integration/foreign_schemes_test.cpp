// A route with the scheme of another plugin in the real daemon: found in both orders of the YAML, told by the commands, and whose crash it is.
#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/integration/probe_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr milliseconds kSoon{20'000};

// Plugin `guest` with the route /guest/foreign.
std::string guest(const std::string& scheme) {
  return "  - {name: guest, library: " + probe_library() + ", config: {prefix: /guest, foreign: \"" + scheme + "\"}}\n";
}
std::string both(bool guest_first) {
  const std::string a = guest("owner:mood"), b = probe_at("owner", "/owner");
  return guest_first ? a + b : b + a;
}

Response ask(const Gateway& gateway, const std::string& path, const std::string& id, const std::string& mood) {
  return gateway.request("POST", path, {{"x-id", id}, {"x-mood", mood}}, "{}");
}

TEST(ForeignSchemesTest, GuardTheRouteInWhateverOrder) {
  for (const bool guest_first : {true, false}) {
    Gateway gateway({.plugins = both(guest_first)});
    EXPECT_EQ(ask(gateway, "/guest/foreign", "a", "good").status, 200) << gateway.log();
    EXPECT_EQ(ask(gateway, "/guest/foreign", "a", "bad").status, 401);
    EXPECT_EQ(gateway.request("POST", "/guest/foreign", {{"x-id", "a"}}, "{}").status, 401);
    const Response unknown = ask(gateway, "/guest/foreign", "a", "throws");
    EXPECT_EQ(unknown.status, 503);
    EXPECT_TRUE(unknown.header("Retry-After"));
    EXPECT_THAT(unknown.body, Not(HasSubstr("inner detail")));
    EXPECT_EQ(gateway.store().number("SELECT count(*) FROM event WHERE provider = 'guest'"), 1);
    EXPECT_EQ(gateway.command({"reload"}).exit.code, 0);
    EXPECT_EQ(ask(gateway, "/guest/foreign", "b", "good").status, 200) << gateway.log();
    EXPECT_EQ(gateway.stop().code, 0);
  }
}

TEST(ForeignSchemesTest, AreToldByTheCommands) {
  Gateway gateway({.plugins = both(true)});
  std::map<std::string, nlohmann::json> schemes;
  for (const auto& route : nlohmann::json::parse(gateway.command({"routes", "--json"}).out)) schemes[route["path"]] = route["schemes"];
  EXPECT_EQ(schemes["/guest/foreign"], nlohmann::json::array({"owner:mood"}));
  EXPECT_EQ(schemes["/guest/checked"], nlohmann::json::array({"mood"}));

  const std::string file = gateway.folder() + "/saved.http";
  auto verify = [&](const std::string& path, const std::vector<std::string>& more = {}) {
    std::ofstream(file, std::ios::trunc) << request_text("POST", path, {{"x-id", "a"}, {"x-mood", "good"}}, "{}");
    std::vector<std::string> args = {"verify", "guest", "--request", file};
    args.insert(args.end(), more.begin(), more.end());
    return gateway.command(args);
  };
  EXPECT_THAT(verify("/guest/foreign").out,
              AllOf(StartsWith("accept\n"), HasSubstr("scheme: owner:mood, since"), HasSubstr("the mood was looked at")));
  EXPECT_THAT(verify("/elsewhere", {"--scheme", "owner:mood"}).out, AllOf(StartsWith("accept\n"), HasSubstr("scheme: owner:mood, as asked")));
  EXPECT_THAT(verify("/guest/foreign", {"--scheme", "owner:mod"}).err, HasSubstr("it has: mood, owner:mood"));
}

// What Twilio's plugin signs for `postern send`, as another plugin's route takes it.
TEST(ForeignSchemesTest, OfTwilioGuardAnotherPluginsRoute) {
  const std::string token = hex(random_bytes(16));
  const std::string digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";  // printf {} | sha256sum
  const std::string url = "https://hooks.postern.test/guest/foreign?bodySHA256=" + digest;
  const std::string twilio = "  - {name: twilio, library: twilio.so, config: {auth_tokens: [" + token + "]}}\n";
  Gateway gateway({.public_url = "https://hooks.postern.test", .plugins = guest("twilio:twilio") + twilio});
  auto post = [&](const std::string& body) {
    const Headers headers = {{"x-id", "a"}, {"X-Twilio-Signature", twilio_signature(token, url, {})}};
    return gateway.request("POST", url.substr(url.find("/guest")), headers, body).status;
  };
  EXPECT_EQ(post("{}"), 200) << gateway.log();
  EXPECT_EQ(post("[]"), 401);
}

TEST(ForeignSchemesTest, AMissingOneIsToldByCheck) {
  Gateway gateway;
  std::string yaml = gateway.config();
  const size_t at = yaml.find("plugins:\n");
  ASSERT_NE(at, std::string::npos) << yaml;
  yaml.insert(at + 9, guest("owner:mod") + probe_at("owner", "/owner"));
  gateway.write_config(yaml);
  const Finished finished = gateway.command({"check"});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr(gateway.config_file() + ":"),
                                  HasSubstr("plugin guest: route /guest/foreign needs the scheme 'owner:mod', which no plugin registers; "
                                            "did you mean 'owner:mood'?; there are: ")));
}

// The crash is the owner's, and so is the quarantine: the guest's other routes go on.
TEST(ForeignSchemesTest, ACrashIsOfThePluginWhoseSchemeItIs) {
  Gateway gateway({.dispatch = "quarantine: {crashes: 2, within: 1h, for: 1h}", .plugins = both(true)});
  for (int i = 0; i < 2; ++i) {
    EXPECT_ANY_THROW(ask(gateway, "/guest/foreign", "a", "crashes"));
    ASSERT_NE(gateway.process().wait(kSoon).value_or(Exit{}).code, 0);
    gateway.start();
  }
  const auto crashes = gateway.store().rows("SELECT plugin, entry_point FROM crash");
  ASSERT_EQ(crashes.size(), 2u) << gateway.log();
  for (const auto& crash : crashes) {
    EXPECT_EQ(crash[0], "owner");
    EXPECT_EQ(crash[1], "verify");
  }
  const Response held = ask(gateway, "/guest/foreign", "b", "good");
  EXPECT_EQ(held.status, 503) << "nobody can tell whether it is genuine";
  EXPECT_TRUE(held.header("Retry-After"));
  EXPECT_EQ(ask(gateway, "/owner/checked", "b", "good").status, 503);
  EXPECT_EQ(ask(gateway, "/guest/checked", "b", "good").status, 200);
  EXPECT_EQ(gateway.request("POST", "/guest/reply/echo", {}, "hello").status, 200);
  EXPECT_EQ(gateway.command({"plugins", "release", "owner"}).exit.code, 0);
  EXPECT_EQ(ask(gateway, "/guest/foreign", "b", "good").status, 200) << gateway.log();
}

}  // namespace
}  // namespace postern::testing
