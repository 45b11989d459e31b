// Plugins that fail on their way from create to destroy: the operator reads why, and the gateway lives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/log.h"
#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

struct Case {
  const char* module;
  const char* which;
  const char* error;  // whole
};

const Case kCases[] = {
    {"create_throws", "", "plugin p: create: exception: no licence"},
    {"create_throws_int", "", "plugin p: create: exception of an unknown type"},
    {"create_fails", "", "plugin p: create: denied (status -7)"},
    {"create_explains", "", "plugin p: create: the licence has run out"},
    {"create_null", "", "plugin p: create: gave no functions"},
    {"create_no_init", "", "plugin p: create: init and destroy are required"},
    {"create_no_destroy", "", "plugin p: create: init and destroy are required"},
    {"create_too_small", "", "plugin p: create: init and destroy are required"},

    {"init", "throws", "plugin p: init: exception: no such account"},
    {"init", "throws_int", "plugin p: init: exception of an unknown type"},
    {"init", "fails", "plugin p: init: timed out (status -4)"},
    {"init", "fails_oddly", "plugin p: init: internal error of the plugin (status -4711)"},
    {"init", "explains", "plugin p: init: the account is closed"},
    {"init", "explains_with_null", "plugin p: init: limit reached (status -5)"},

    {"registers", "unknown_scheme", "plugin p: init: route /hook: unknown scheme 'nobody'; add it before the route"},
    {"registers", "no_scheme", "plugin p: init: route /hook: a route without schemes must say that it is unsigned"},
    {"registers", "kind", "plugin p: init: route /hook: unknown kind of route 77"},
    {"registers", "scheme_twice", "plugin p: init: scheme 's' was added before"},
    {"registers", "algorithm", "plugin p: init: unknown algorithm 99"},
    {"registers", "null_scheme", "plugin p: init: unknown algorithm 0"},
    {"registers", "null_route", "plugin p: init: route : unknown kind of route 0"},
    {"registers", "handler_twice", "plugin p: init: a handler for 'message.*' was registered before"},
    {"registers", "null_handler", "plugin p: init: a handler needs a type and a function"},
    {"registers", "empty_glob", "plugin p: init: a handler needs a type and a function"},
    {"registers", "odd_headers", "plugin p: init: headers come in pairs of name and value"},
    {"registers", "null_check", "plugin p: init: a health check needs a name and a function"},
    {"registers", "unnamed_check", "plugin p: init: a health check needs a name and a function"},
    {"registers", "null_metric", "plugin p: init: metric : unknown kind 0"},
    {"registers", "lost_metric", "plugin p: init: a metric needs a place for its handle"},
    {"registers", "hollow_metric", "plugin p: init: metric level: a length without a list"},
    {"registers", "bad_metric_name",
     "plugin p: init: metric level{x}: a name is of a-z, 0-9 and _, begins with a letter and has at most 60 bytes"},
};

class BadStart : public ::testing::TestWithParam<Case> {};

TEST_P(BadStart, TellsWhy) {
  Made made = make(GetParam().module, GetParam().which);
  EXPECT_EQ(made.instance, nullptr);
  EXPECT_EQ(made.error, GetParam().error);
  EXPECT_TRUE(made.faults.empty());
}

INSTANTIATE_TEST_SUITE_P(Instance, BadStart, ::testing::ValuesIn(kCases), [](const auto& info) {
  std::string which = info.param.which;
  return info.param.module + (which.empty() ? "" : "_" + which);
});

// The reason comes from another room there; what counts is that it names the route and the text at fault.
struct Refused {
  const char* which;
  std::vector<const char*> told;
};
const Refused kRefused[] = {
    {"bad_id_from", {"route /hook", "id_from", "cookie"}},
    {"bad_type_from", {"route /hook", "type_from"}},
    {"bad_order_key", {"route /hook", "order_key_from"}},
    {"bad_required", {"route /hook", "required", "body"}},
    {"open_brace", {"route /hook/{open"}},
    {"relative", {"route hook"}},
    {"empty_path", {"route "}},
    {"no_method", {"route /hook"}},
    {"twice", {"route /hook/{b}"}},
    {"empty_secret", {"empty"}},
    {"bad_secret", {"base64"}},
    {"null_sample", {"sample"}},
};

class RefusedRegistration : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedRegistration, ReachesTheOperator) {
  Made made = make("registers", GetParam().which);
  EXPECT_EQ(made.instance, nullptr);
  EXPECT_THAT(made.error, HasSubstr("plugin p: init: "));
  for (const char* text : GetParam().told) EXPECT_THAT(made.error, HasSubstr(text));
  for (const char* secret : {"n0t-base64", "VERY-secret", "a-first-secret"}) EXPECT_THAT(made.error, Not(HasSubstr(secret)));
}

INSTANTIATE_TEST_SUITE_P(Instance, RefusedRegistration, ::testing::ValuesIn(kRefused),
                         [](const auto& info) { return std::string(info.param.which); });

// A refusal that the plugin got over must not stand in the place of what it fails for.
TEST(Instance, TellsWhatItFailsForAndNotOnlyWhatItGotOver) {
  EXPECT_THAT(make("registers", "gets_over_it").error, HasSubstr("the account is closed"));
}

TEST(Instance, BoundsWhatAPluginSays) {
  std::string error = make("init", "explains_at_length").error;
  EXPECT_GE(error.size(), 1000u);
  EXPECT_LE(error.size(), 1100u);
}

// ---- faults of the configuration

config::Plugin faulty_config(const std::string& which) {
  config::Plugin plugin = plugin_config("p", "init", "{\"case\":\"" + which + "\"}");
  plugin.config_marks["/keys"] = {14, 7};
  plugin.config_marks["/keys/0"] = {15, 11};
  plugin.config_marks["/keys/1"] = {16, 11};
  return plugin;
}

TEST(Instance, PutsFaultsWhereThePluginPoints) {
  for (const char* which : {"faults", "faults_and_fails"}) {
    Made made = make(faulty_config(which));
    EXPECT_EQ(made.instance, nullptr);
    ASSERT_EQ(made.faults.size(), 5u) << which;
    auto text = [&](size_t i) { return config::to_text("f.yaml", made.faults[i]); };
    EXPECT_EQ(text(0), "f.yaml:16:11: plugin p: the second key is too short");
    EXPECT_EQ(text(1), "f.yaml:16:11: plugin p: nobody has been here");
    EXPECT_EQ(text(2), "f.yaml:12:13: plugin p: something is wrong altogether");
    EXPECT_EQ(text(3), "f.yaml:12:13: plugin p: is required");
    EXPECT_EQ(made.faults[4].message, "plugin p: odd");
    EXPECT_GT(made.faults[4].mark.line, 0);
  }
}

TEST(Instance, PutsFaultsOfAnAbsentConfigurationAtThePlugin) {
  config::Plugin plugin = faulty_config("faults");
  plugin.config_marks.clear();
  Made made = make(plugin);
  ASSERT_EQ(made.faults.size(), 5u);
  for (const config::Fault& fault : made.faults) EXPECT_EQ(fault.mark.line, 10);
}

TEST(Instance, TakesABoundedNumberOfFaults) {
  Made made = make(faulty_config("many_faults"));
  EXPECT_EQ(made.instance, nullptr);
  EXPECT_GE(made.faults.size(), 1u);
  EXPECT_LE(made.faults.size(), 1000u);
}

// ---- after init

TEST(Instance, DoesNotMindTextOnStdout) {
  CaptureStdout();
  Made made = make("init", "writes_to_stdout");
  EXPECT_EQ(GetCapturedStdout(), "hello from init\n");
  ASSERT_NE(made.instance, nullptr) << made.error;
  EXPECT_TRUE(made.instance->activate());
}

TEST(Instance, TellsWhyItCannotBeActivated) {
  Made fails = make("life", "fails");
  ASSERT_NE(fails.instance, nullptr) << fails.error;
  EXPECT_EQ(fails.instance->activate().message(), "plugin p: activate: the upstream does not answer");
  fails.instance.reset();
  Made throws = make("life", "throws");
  ASSERT_NE(throws.instance, nullptr) << throws.error;
  EXPECT_EQ(throws.instance->activate().message(), "plugin p: activate: exception: the port is taken");
}

TEST(Instance, TakesNoRegistrationAfterInit) {
  Made made = make("life", "registers");
  ASSERT_NE(made.instance, nullptr) << made.error;
  EXPECT_EQ(made.instance->activate().message(), "plugin p: activate: all refused");
  const plugin::Registrations& registrations = made.instance->registrations();
  EXPECT_TRUE(registrations.routes.empty());
  EXPECT_TRUE(registrations.samples.empty());
  EXPECT_TRUE(registrations.schemes.empty());
  EXPECT_TRUE(registrations.handlers.empty());
  EXPECT_EQ(registrations.subscription.function, nullptr);
  EXPECT_TRUE(registrations.health_checks.empty());
  EXPECT_TRUE(registrations.faults.empty());
}

TEST(Instance, IsDestroyedOnceWhateverCameBefore) {
  for (const char* which : {"well", "fails", "throws", "throws_in_deactivate", "throws_in_destroy"}) {
    CaptureStderr();
    log::start(log::Style::kJson, log::Level::kInfo);
    {
      Made made = make("life", which);
      ASSERT_NE(made.instance, nullptr) << made.error;
      static_cast<void>(made.instance->activate());
      made.instance->deactivate(10);
    }
    std::string log = GetCapturedStderr();
    EXPECT_THAT(log, HasSubstr("destroyed")) << which;
    EXPECT_EQ(log.find("destroyed"), log.rfind("destroyed")) << which;
  }
}

// ---- generations of sized structs

TEST(Instance, OfAnOlderPluginGetsZeroForWhatItDoesNotKnow) {
  Made made = make("older", "");
  ASSERT_NE(made.instance, nullptr) << made.error;
  ASSERT_EQ(made.instance->registrations().routes.size(), 1u);
  const ingest::Route& route = made.instance->registrations().routes[0];
  EXPECT_EQ(route.path, "/generation");
  EXPECT_EQ(route.wait_ms, 0);
  EXPECT_EQ(route.schemes.size(), 1u);
  EXPECT_TRUE(made.instance->activate());
}

TEST(Instance, OfANewerPluginWorks) {
  Made made = make("newer", "");
  ASSERT_NE(made.instance, nullptr) << made.error;
  ASSERT_EQ(made.instance->registrations().routes.size(), 1u);
  EXPECT_EQ(made.instance->registrations().routes[0].wait_ms, 4711);
  EXPECT_TRUE(made.instance->activate());
}

}  // namespace
}  // namespace postern::testing
