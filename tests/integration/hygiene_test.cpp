// What a gateway keeps to itself, and what misbehaving plugins and files are told, through the command itself.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "tests/integration/openphone_test.h"
#include "tests/support/places.h"
#include "tests/support/sanitizer.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string of_process(Gateway& gateway, const char* what) {
  return content("/proc/" + std::to_string(gateway.process().pid()) + "/" + what);
}

std::string core_limit(Gateway& gateway) {
  std::smatch match;
  const std::string limits = of_process(gateway, "limits");
  return std::regex_search(limits, match, std::regex("Max core file size +(\\S+)")) ? match[1].str() : "?";
}

class Hygiene : public ::testing::Test {
 protected:
  void SetUp() override {  // what the gateway inherits allows dumps
    rlimit limit{};
    ::getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_CORE, &limit);
    may_dump_ = limit.rlim_max != 0;
  }
  bool may_dump_ = false;
};

TEST_F(Hygiene, NoCoreDumpUnlessTheConfigurationSaysSo) {
  Gateway gateway;
  EXPECT_EQ(core_limit(gateway), "0");
#if POSTERN_ASAN || POSTERN_TSAN
  GTEST_SKIP() << "the sanitizers' own runtime takes the limit away before us";
#endif
  Gateway dumping(GatewayOptions{.gateway = "  core_dumps: true\n"});
  EXPECT_EQ(core_limit(dumping) == "0", !may_dump_);
}

TEST_F(Hygiene, NoSecretInTheEnvironment) {
  Gateway gateway(GatewayOptions{.gateway = "  core_dumps: true\n"});  // else nobody but root may look
  const std::string environment = of_process(gateway, "environ");
  ASSERT_THAT(environment, HasSubstr("POSTERN_TEST_LEGACY_KEY=")) << "it can be read, and the key was there";
  EXPECT_THAT(environment, Not(HasSubstr(gateway.legacy_key())));
}

// A configuration in the gateway's folder, with one plugin of tests/abi.
class Modules : public OpenphoneTest {
 protected:
  std::string write(const std::string& module, const std::string& which) {
    const std::string file = gateway().folder() + "/modules.yaml";
    std::ofstream(file) << "gateway: {listen: [127.0.0.1:" << free_port() << "]}\nadmin: {socket: " << gateway().folder()
                        << "/modules.sock}\nstore: {kind: sqlite, path: " << gateway().folder() << "/modules.db}\nplugins:\n  - name: odd\n"
                        << "    library: " << built("tests/abi_modules/" + module + ".so") << "\n    config: {case: " << which << "}\n";
    return file;
  }
};

TEST_F(Modules, ThatPrintDoNotSpoilWhatIsForPrograms) {
  const std::string file = write("talks", "none");
  const Finished finished = run(postern_binary(), {"plugins", "--json", "-c", file});
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  const auto json = nlohmann::json::parse(finished.out, nullptr, false);
  ASSERT_TRUE(json.is_array()) << finished.out;
  EXPECT_EQ(json[0]["name"], "odd");
  for (const char* how : {"printf", "cout", "write"}) {
    for (const char* when : {"a static constructor", "init", "destroy", "a static destructor"}) {
      EXPECT_THAT(finished.err, HasSubstr(std::string(how) + " in " + when));
    }
  }
}

TEST_F(Modules, ThatPrintPrintToTheLogOfTheGateway) {
  Process serving({postern_binary(), {"serve", "-c", write("talks", "none")}, {}, {}, {}});
  ASSERT_TRUE(serving.wait_for_line("printf in init", milliseconds(10000))) << serving.err();
  serving.send_signal(SIGTERM);
  const auto exit = serving.wait(milliseconds(20000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0);
  EXPECT_EQ(serving.out(), "");
}

TEST_F(Modules, ThatExitAreNamed) {
  for (const char* which : {"exits", "quick_exits"}) {
    for (const char* command : {"check", "serve"}) {
      const Finished finished = run(postern_binary(), {command, "-c", write("init", which)});
      EXPECT_EQ(finished.exit.code, 70) << command;
      EXPECT_THAT(finished.err, HasSubstr("plugin odd called exit() in init")) << command;
    }
  }
}

TEST_F(Modules, ThatHangAreNamed) {
  Process checking({postern_binary(), {"check", "-c", write("init", "hangs")}, {}, {}, {}});
  EXPECT_TRUE(checking.wait_for_line("a plugin has not come back from its start", milliseconds(30000))) << checking.err();
  EXPECT_THAT(checking.err(), HasSubstr("plugin=odd"));
  EXPECT_THAT(checking.err(), HasSubstr("function=init"));
}

TEST_F(Modules, AHalfWrittenOneIsNamedWithItsPlace) {
  const std::string whole = content(built("tests/abi_modules/good.so"));
  ASSERT_GT(whole.size(), 2u);
  std::ofstream(gateway().folder() + "/half.so", std::ios::binary) << whole.substr(0, whole.size() / 2);
  const std::string file = write("../../half", "none");
  std::string yaml = content(file);
  const std::string there = built("tests/abi_modules/../../half.so");
  yaml.replace(yaml.find(there), there.size(), gateway().folder() + "/half.so");
  std::ofstream(file, std::ios::trunc) << yaml;
  const Finished finished = run(postern_binary(), {"check", "-c", file});
  EXPECT_EQ(finished.exit.code, 1);
  EXPECT_THAT(finished.err, HasSubstr(file + ":5:11: plugin odd: " + gateway().folder() +
                                      "/half.so: is not a shared library for this machine, or is damaged"));
}

TEST_F(Modules, ConfigurationsThatAreNoneAreNamed) {
  const std::string folder = gateway().folder(), empty = folder + "/empty.yaml", huge = folder + "/huge.yaml";
  std::ofstream(empty).close();
  std::ofstream(huge) << "gateway: {listen: [127.0.0.1:0]}\n";
  std::filesystem::resize_file(huge, 100 << 20);
  const std::pair<std::string, std::string> table[] = {
      {folder, "the file is a folder"}, {empty, "the file is empty"}, {huge, "the file is longer than 1024 KiB"}};
  for (const char* command : {"check", "serve"}) {
    for (const auto& [file, fault] : table) {
      const Finished finished = run(postern_binary(), {command, "-c", file});
      EXPECT_EQ(finished.exit.code, 1) << command;
      EXPECT_EQ(finished.err, file + ":1:1: " + fault + "\n") << command;
    }
  }
}

}  // namespace
}  // namespace postern::testing
