#include "core/config/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/config/environment.h"
#include "tests/unit/config/load.h"

namespace postern::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kGateway = "gateway: {listen: [127.0.0.1:0]}\n";

// An environment variable for the length of a test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST(Secrets, Resolve) {
  const Variable a("POSTERN_TEST_A", "alpha");
  const Variable b("POSTERN_TEST_B", "${env:POSTERN_TEST_A}");
  const TempFolder folder;
  const std::string file = folder.write("token", "from file\n");
  const std::string crlf = folder.write("crlf", "line\r\n");
  const std::string two = folder.write("two", "line\n\n");
  const std::pair<std::string, std::string> table[] = {
      {"", ""},
      {"plain $ {x} $x", "plain $ {x} $x"},
      {"${env:POSTERN_TEST_A}", "alpha"},
      {"<${env:POSTERN_TEST_A}|${env:POSTERN_TEST_A}>", "<alpha|alpha>"},
      {"${env:POSTERN_TEST_B}", "${env:POSTERN_TEST_A}"},  // what a secret holds is no reference
      {"$${env:POSTERN_TEST_A}", "${env:POSTERN_TEST_A}"},
      {"$$${env:X}", "$${env:X}"},
      {"$${${env:POSTERN_TEST_A}", "${alpha"},
      {"${file:" + file + "}", "from file"},
      {"${file:" + crlf + "}", "line"},
      {"${file:" + two + "}", "line\n"},
      {"$", "$"},
      {"$$", "$$"},
  };
  for (const auto& [text, expected] : table) {
    const Result<std::string> result = Secrets().resolve(text);
    ASSERT_TRUE(result.is_ok()) << text << ": " << result.status().message();
    EXPECT_EQ(*result, expected) << text;
  }
}

TEST(Secrets, Faults) {
  const Variable empty("POSTERN_TEST_A", "");
  const Variable latin("POSTERN_TEST_B", "caf\xe9");
  const TempFolder folder;
  const std::string nothing = folder.write("nothing", "\n");
  const std::string nul = folder.write("nul", std::string("hush\0hush", 9));
  const std::string big = folder.write("big", std::string((64 << 10) + 1, 'x'));
  const std::pair<std::string, std::string> table[] = {
      {"${env:POSTERN_TEST_UNSET}",
       "environment variable POSTERN_TEST_UNSET is not set; export it or use ${file:…}"},
      {"${env:POSTERN_TEST_A}", "environment variable POSTERN_TEST_A is empty"},
      {"${env:POSTERN_TEST_B}", "what 'env:POSTERN_TEST_B' holds is not valid UTF-8; store it encoded"},
      {"${env:}", "'' cannot be the name of an environment variable"},
      {"${env:1X}", "'1X' cannot be the name of an environment variable"},
      {"${env:A=B}", "'A=B' cannot be the name of an environment variable"},
      {"${file:relative}", "${file:…} needs an absolute path"},
      {"${file:" + folder.path() + "/none}", "file '" + folder.path() + "/none' does not exist"},
      {"${file:" + folder.path() + "}", "file '" + folder.path() + "' is a folder"},
      {"${file:/dev/zero}", "file '/dev/zero' is not a regular file"},
      {"${file:" + nothing + "}", "file '" + nothing + "' is empty"},
      {"${file:" + nul + "}", "file '" + nul + "' contains NUL"},
      {"${file:" + big + "}", "file '" + big + "' is longer than 64 KiB"},
      {"${vault:x}", "unknown reference; write ${env:NAME} or ${file:/path}, and $${ for a literal ${"},
      {"${env:X", "${ without its }; write $${ for a literal ${"},
  };
  for (const auto& [text, expected] : table) {
    const Result<std::string> result = Secrets().resolve(text);
    ASSERT_FALSE(result.is_ok()) << text;
    EXPECT_EQ(result.status().message(), expected);
  }
}

TEST(Secrets, AreTakenOutOfTheEnvironmentAndStillFound) {
  const Variable used("POSTERN_TEST_TAKEN", "hush"), other("POSTERN_TEST_LEFT", "not named");
  const char* in_memory = ::getenv("POSTERN_TEST_TAKEN");
  ASSERT_TRUE(Secrets().resolve("${env:POSTERN_TEST_TAKEN}").is_ok());
  take_used_variables();
  EXPECT_EQ(::getenv("POSTERN_TEST_TAKEN"), nullptr);
  EXPECT_STREQ(in_memory, "") << "overwritten where it was";
  EXPECT_STREQ(::getenv("POSTERN_TEST_LEFT"), "not named") << "what no configuration names is not ours";
  EXPECT_EQ(*Secrets().resolve("${env:POSTERN_TEST_TAKEN}"), "hush") << "for the next load";
  const std::vector<std::string> all = environment_with_taken_variables();
  EXPECT_EQ(std::count(all.begin(), all.end(), "POSTERN_TEST_TAKEN=hush"), 1);
  EXPECT_EQ(std::count(all.begin(), all.end(), "POSTERN_TEST_LEFT=not named"), 1);

  const Variable newer("POSTERN_TEST_TAKEN", "newer");
  EXPECT_EQ(*Secrets().resolve("${env:POSTERN_TEST_TAKEN}"), "newer");
  take_used_variables();
  EXPECT_EQ(*Secrets().resolve("${env:POSTERN_TEST_TAKEN}"), "newer");
}

TEST(Secrets, AllTogetherAreBounded) {
  const TempFolder folder;
  const std::string reference = "${file:" + folder.write("big", std::string(64 << 10, 'x')) + "}";
  Secrets secrets;
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(secrets.resolve(reference).is_ok());
  EXPECT_EQ(secrets.resolve(reference).status().code(), Code::kLimit);
}

TEST(Secrets, AreReplacedInEveryKindOfValue) {
  const Variable token("POSTERN_TEST_TOKEN", "hush");
  const Variable workers("POSTERN_TEST_WORKERS", "12");
  const Variable home("POSTERN_TEST_HOME", "/srv");
  // In a flow list a plain } ends the scalar early; the shipped files quote references for that reason.
  EXPECT_FALSE(load_text(kGateway + "plugins: [{name: a, library: ${env:POSTERN_TEST_HOME}}]\n").faults.empty());

  const Loaded quoted =
      load_text(kGateway +
                "admin: {token: \"${env:POSTERN_TEST_TOKEN}\"}\n"
                "store: {path: \"${env:POSTERN_TEST_HOME}/events.db\"}\n"
                "dispatch: {workers: \"${env:POSTERN_TEST_WORKERS}\", drain: \"1${env:POSTERN_TEST_WORKERS}s\"}\n"
                "plugins:\n  - name: a\n    library: a.so\n    config:\n"
                "      number: ${env:POSTERN_TEST_WORKERS}\n"
                "      list: [\"x-${env:POSTERN_TEST_TOKEN}\"]\n");
  ASSERT_THAT(told(quoted), ElementsAre());
  EXPECT_EQ(quoted.config.admin.token, "hush");
  EXPECT_EQ(quoted.config.store_path, "/srv/events.db");
  EXPECT_EQ(quoted.config.workers, 12u);
  EXPECT_EQ(quoted.config.drain, std::chrono::seconds(112));
  EXPECT_EQ(quoted.config.plugins[0].config_json, R"({"list":["x-hush"],"number":"12"})");
}

TEST(Secrets, CannotInjectYaml) {
  const Variable token("POSTERN_TEST_TOKEN", "x\", admin: true, \"y\": [1]\nstore: {kind: postgres}");
  const Loaded loaded =
      load_text(kGateway + "plugins: [{name: a, library: a.so, config: {k: \"${env:POSTERN_TEST_TOKEN}\"}}]\n");
  ASSERT_THAT(told(loaded), ElementsAre());
  EXPECT_EQ(loaded.config.plugins[0].config_json, R"({"k":"x\", admin: true, \"y\": [1]\nstore: {kind: postgres}"})");
}

TEST(Secrets, NeverAppearInAFault) {
  const Variable token("POSTERN_TEST_TOKEN", "hush 10.9.8.7/8");
  const std::string reference = "\"${env:POSTERN_TEST_TOKEN}\"";
  const char* places[] = {
      "gateway: {listen: [@], public_url: @, trusted_proxies: [@], max_body: @, loops: @, log_level: @}",
      "gateway: {listen: 127.0.0.1:0}\nadmin: {listen: @, token: @, open_metrics: @}",
      "gateway: {listen: 127.0.0.1:0}\ndispatch: {drain: @, retry: {factor: @, jitter: @}}\nstore: {kind: @}",
      "gateway: {listen: 127.0.0.1:0}\nplugins: [{name: @, library: a, routes: {/x: {rate: @, reject_status: @}}}]",
      "gateway: {listen: 127.0.0.1:0}\nsubscriptions: [{on: @, plugin: @, name: @}]",
  };
  for (std::string yaml : places) {
    for (size_t at = yaml.find('@'); at != yaml.npos; at = yaml.find('@')) yaml.replace(at, 1, reference);
    const Loaded loaded = load_text(yaml);
    EXPECT_GE(loaded.faults.size(), 3u) << yaml;
    for (const std::string& fault : told(loaded))
      EXPECT_THAT(fault, AllOf(Not(HasSubstr("hush")), Not(HasSubstr("10.9")))) << yaml;
  }
  const Variable host("POSTERN_TEST_HOST", "10.9.8.7/8");
  for (const std::string& fault :
       told(load_text("gateway: {listen: 127.0.0.1:0, trusted_proxies: [\"${env:POSTERN_TEST_HOST}\"]}")))
    EXPECT_THAT(fault, Not(HasSubstr("10.9")));
}

TEST(Secrets, WrittenIntoTheFileAreNotQuotedEither) {
  const Loaded loaded =
      load_text(kGateway +
                "admin: {token: 'hush hush'}\n"
                "plugins: [{name: a, library: a.so, config: {k: '${hush', n: 99999999999999999999}}]\n");
  EXPECT_THAT(told(loaded),
              ElementsAre("2:16 admin.token: must be visible ASCII without spaces",
                          "3:48 plugins[0].config/k: ${ without its }; write $${ for a literal ${",
                          "3:61 plugins[0].config/n is too large for a number; quote it to make it a string"));
}

}  // namespace
}  // namespace postern::config
