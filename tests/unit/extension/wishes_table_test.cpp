// What a plugin may ask and say in init beyond its registrations: its name, the YAML's subscriptions, a policy; and reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/events.h>
#include <postern/ext/reports.h>

#include "core/extension/table.h"
#include "core/plugin/call.h"
#include "core/plugin/host.h"

namespace postern::extension {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(postern_str from) { return from.len == 0 ? std::string() : std::string(from.ptr, from.len); }

template <typename Table>
const Table& table(const char* id) {
  return *static_cast<const Table*>(host_api().get_extension(nullptr, str(id)));
}
const postern_ext_events& events() { return table<postern_ext_events>(POSTERN_EXT_EVENTS); }
const postern_ext_reports& reports() { return table<postern_ext_reports>(POSTERN_EXT_REPORTS); }

class WishesTable : public ::testing::Test {
 protected:
  WishesTable() {
    host_.name = "mailer";
    host_.phase = postern_host::Phase::kInit;
    office_.name = "office";
    office_.on = "openphone.*";
    office_.with_json = R"({"to":"office@example.com"})";
    host_.surroundings.subscriptions = {&office_};
  }

  postern_host host_;
  config::Subscription office_;
};

TEST_F(WishesTable, ItsName) { EXPECT_EQ(text(host_api().plugin_name(&host_)), "mailer"); }

TEST_F(WishesTable, TheSubscriptionsOfTheFile) {
  postern_subscription one{};
  one.struct_size = sizeof one;
  ASSERT_EQ(events().subscription(&host_, 0, &one), POSTERN_OK);
  EXPECT_EQ(text(one.name), "office");
  EXPECT_EQ(text(one.on), "openphone.*");
  EXPECT_EQ(text(one.with), office_.with_json);
  EXPECT_EQ(events().subscription(&host_, 1, &one), POSTERN_E_NOT_FOUND);
  EXPECT_EQ(events().subscription_fault(&host_, 0, str("/to"), str("is wrong")), POSTERN_OK);
  EXPECT_EQ(events().subscription_fault(&host_, 1, str("/to"), str("is wrong")), POSTERN_E_NOT_FOUND);
  ASSERT_EQ(host_.registrations.faults.size(), 1u);
  EXPECT_EQ(host_.registrations.faults[0].subscription, 0u);
  host_.phase = postern_host::Phase::kActive;
  EXPECT_EQ(events().subscription(&host_, 0, &one), POSTERN_E_STATE);
  EXPECT_EQ(events().subscription_fault(&host_, 0, str("/to"), str("is wrong")), POSTERN_E_STATE);
}

// Of a plugin that was made when the struct was shorter.
TEST_F(WishesTable, AShorterStructIsNotOverrun) {
  struct {
    postern_subscription one;
    uint64_t guard;
  } old{};
  old.guard = 42;
  old.one.struct_size = offsetof(postern_subscription, on);
  ASSERT_EQ(events().subscription(&host_, 0, &old.one), POSTERN_OK);
  EXPECT_EQ(text(old.one.name), "office");
  EXPECT_EQ(old.one.on.len, 0u);
  EXPECT_EQ(old.guard, 42u);
}

TEST_F(WishesTable, APolicy) {
  postern_policy_desc policy{};
  policy.struct_size = sizeof policy;
  policy.deadline_ms = 90'000;
  policy.attempts = 24;
  policy.retry_base_ms = 1'000;
  policy.retry_cap_ms = 5'000;
  ASSERT_EQ(events().default_policy(&host_, &policy), POSTERN_OK);
  EXPECT_EQ(host_.registrations.policy.deadline_ms, 90'000u);
  EXPECT_EQ(host_.registrations.policy.attempts, 24u);
  policy.deadline_ms = 3'600'001;
  EXPECT_EQ(events().default_policy(&host_, &policy), POSTERN_E_INVALID);
  policy.deadline_ms = 0;
  policy.attempts = 101;
  EXPECT_EQ(events().default_policy(&host_, &policy), POSTERN_E_INVALID);
  policy.attempts = 0;
  policy.retry_base_ms = 5'001;
  EXPECT_EQ(events().default_policy(&host_, &policy), POSTERN_E_INVALID);
  host_.phase = postern_host::Phase::kActive;
  policy.retry_base_ms = 0;
  EXPECT_EQ(events().default_policy(&host_, &policy), POSTERN_E_STATE);
}

class Counted final : public store::Reports {
 public:
  Result<std::vector<store::ProviderReport>> by_provider(int64_t from, int64_t to) override {
    if (from == 7) return Status(Code::kUnavailable, "the disk is gone");
    return std::vector<store::ProviderReport>{{"acme", 5, 3, 1, 2, to - from, "evt_1", "acme.made"}, {"beta", 1, 0, 0, 0, 0, "", ""}};
  }
};

TEST_F(WishesTable, Reports) {
  std::vector<std::string> told;
  auto tell = [](void* user, const postern_provider_report* one) {
    std::string line = text(one->provider);
    for (uint64_t number : {one->received, one->done, one->dead, one->waiting, one->slowest_ms}) line += " " + std::to_string(number);
    static_cast<std::vector<std::string>*>(user)->push_back(line + " " + text(one->slowest_event) + text(one->slowest_type));
  };
  EXPECT_EQ(reports().by_provider(&host_, 1, 10, tell, &told), POSTERN_E_STATE) << "not before activate";
  Counted counted;
  host_.reports = &counted;
  EXPECT_EQ(reports().by_provider(&host_, 1, 10, tell, &told), POSTERN_OK);
  EXPECT_THAT(told, ElementsAre("acme 5 3 1 2 9 evt_1acme.made", "beta 1 0 0 0 0 "));
  EXPECT_EQ(reports().by_provider(&host_, 10, 1, tell, &told), POSTERN_E_INVALID);
  EXPECT_EQ(reports().by_provider(&host_, 1, 10, nullptr, &told), POSTERN_E_INVALID);
  EXPECT_EQ(reports().by_provider(&host_, 7, 10, tell, &told), POSTERN_E_INTERNAL);
  EXPECT_THAT(plugin::take_error(), HasSubstr("the disk is gone"));
}

}  // namespace
}  // namespace postern::extension
