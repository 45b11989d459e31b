// postern.services/1 as plugins see it: who publishes and acquires what, and who is there.
#include <atomic>
#include <thread>

#include "core/base/clock.h"
#include "tests/support/eventually.h"
#include "tests/unit/extension/services_harness.h"

namespace postern::extension {
namespace {

using testing::eventually;
using testing::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// ---- in init

TEST_F(ServicesTable, NamesHaveARevision) {
  Script script = echo;
  for (const char* name : {"", "mail", "/1", "mail/", "mail/0", "mail/01", "mail/x", "mail/1/2", "Mail/1", "1mail/1", "ma il/1", "mail/-1",
                           "ma\nil/1", "caf\xc3\xa9/1"}) {
    EXPECT_EQ(publish(one_, name, script), POSTERN_E_INVALID) << name;
    uint32_t number = 7;
    EXPECT_EQ(table().acquire(&one_, str(name), 0, &number), POSTERN_E_INVALID) << name;
    EXPECT_THAT(one_.registrations.refusal, HasSubstr("\"mail/1\""));
  }
  std::string longest = std::string(62, 'm') + "/1";
  EXPECT_EQ(publish(one_, longest, script), POSTERN_OK);
  EXPECT_EQ(publish(one_, "m" + longest, script), POSTERN_E_INVALID);
  EXPECT_EQ(publish(one_, "mail_to-x.y/12", script), POSTERN_OK);
  EXPECT_EQ(one_.registrations.services.size(), 2u);
  EXPECT_TRUE(one_.registrations.wishes.empty());
}

TEST_F(ServicesTable, RegistrationsAreChecked) {
  Script script = echo;
  EXPECT_EQ(publish(one_, "mail/1", script), POSTERN_OK);
  EXPECT_EQ(publish(one_, "mail/1", script), POSTERN_E_INVALID);
  EXPECT_THAT(one_.registrations.refusal, HasSubstr("before"));
  EXPECT_EQ(table().publish(&one_, str("other/1"), nullptr, nullptr), POSTERN_E_INVALID);
  uint32_t number = 7;
  EXPECT_EQ(table().acquire(&one_, str("crm/1"), 2, &number), POSTERN_E_INVALID);
  EXPECT_THAT(one_.registrations.refusal, HasSubstr("unknown flags"));
  EXPECT_EQ(table().acquire(&one_, str("crm/1"), 0, nullptr), POSTERN_E_INVALID);
  for (Phase phase : {Phase::kCreated, Phase::kReady, Phase::kActive, Phase::kDown}) {
    one_.phase = phase;
    EXPECT_EQ(publish(one_, "late/1", script), POSTERN_E_STATE);
    EXPECT_EQ(table().acquire(&one_, str("late/1"), 0, &number), POSTERN_E_STATE);
  }
}

TEST_F(ServicesTable, OneNameIsOneNumberAndRequiredWins) {
  EXPECT_EQ(acquire(one_, "a/1", POSTERN_SERVICE_OPTIONAL), 0u);
  EXPECT_EQ(acquire(one_, "b/1", POSTERN_SERVICE_OPTIONAL), 1u);
  EXPECT_EQ(acquire(one_, "a/1"), 0u);
  EXPECT_EQ(acquire(one_, "a/1", POSTERN_SERVICE_OPTIONAL), 0u);
  ASSERT_EQ(one_.registrations.wishes.size(), 2u);
  EXPECT_TRUE(one_.registrations.wishes[0].required);
  EXPECT_FALSE(one_.registrations.wishes[1].required);
}

TEST_F(ServicesTable, APluginHasAHundredOfEach) {
  Script script = echo;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(publish(one_, "s" + std::to_string(i) + "/1", script), POSTERN_OK);
    acquire(one_, "s" + std::to_string(i) + "/1");
  }
  uint32_t number = 7;
  EXPECT_EQ(publish(one_, "more/1", script), POSTERN_E_LIMIT);
  EXPECT_EQ(table().acquire(&one_, str("more/1"), 0, &number), POSTERN_E_LIMIT);
  EXPECT_EQ(acquire(one_, "s7/1"), 7u) << "known already";
}

// ---- who is there

TEST_F(ServicesTable, AnOptionalOneMayBeMissing) {
  number_ = acquire(one_, "absent/1", POSTERN_SERVICE_OPTIONAL);
  EXPECT_EQ(ask().status, POSTERN_E_STATE) << "in init";
  activate();
  EXPECT_EQ(table().available(&one_, number_), 0);
  Answer answer = ask();
  EXPECT_EQ(answer.status, POSTERN_E_NOT_FOUND);
  EXPECT_THAT(answer.error, HasSubstr("absent/1"));
}

TEST_F(ServicesTable, IsCallableWhileBothAreActive) {
  serve(echo);
  one_.phase = Phase::kReady;
  EXPECT_EQ(ask().status, POSTERN_E_STATE);
  one_.phase = Phase::kDown;
  EXPECT_EQ(ask().status, POSTERN_E_GONE);
  one_.phase = Phase::kActive;
  two_.registrations.services[0]->close();
  two_.registrations.services[0]->open();
  Answer answer = ask();
  EXPECT_EQ(answer.status, POSTERN_E_GONE) << "for good";
  EXPECT_THAT(answer.error, HasSubstr("two"));
  EXPECT_EQ(counted("gone"), 2u);
}

TEST_F(ServicesTable, IsNotCallableBeforeItsPluginIsActive) {
  script_ = echo;
  publish(two_, "s/1", script_);
  number_ = acquire(one_, "s/1");
  one_.registrations.wishes[0].service = two_.registrations.services[0];
  one_.phase = Phase::kActive;
  EXPECT_EQ(ask().status, POSTERN_E_STATE);
}

TEST_F(ServicesTable, TheDoorWaitsForWhoIsInside) {
  std::atomic<bool> inside{false}, go{false};
  serve([&](postern_service_call* c) {
    inside = true;
    go.wait(false);
    return echo(c);
  });
  plugin::Service& service = *two_.registrations.services[0];
  Answer answer;
  std::thread caller([&] { answer = ask("x"); });
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return inside.load(); }));
  service.close();
  EXPECT_FALSE(service.wait_until_empty(steady_ms() + 20));
  EXPECT_EQ(ask().status, POSTERN_E_GONE);
  go = true;
  go.notify_all();
  EXPECT_TRUE(service.wait_until_empty(steady_ms() + 5000));
  caller.join();
  EXPECT_EQ(answer.body, "x") << "who was inside got the answer";
}

TEST(ServiceDirectory, TellsWhoHasTheNameAlready) {
  plugin::ServiceDirectory directory;
  auto service = [](std::string name, std::string plugin) {
    return std::make_shared<plugin::Service>(std::move(name), std::move(plugin), nullptr, nullptr, nullptr);
  };
  EXPECT_THAT(directory.explain_missing("mail/1"), HasSubstr("no plugin publishes any"));
  ASSERT_TRUE(directory.add(service("mail/2", "post")));
  ASSERT_TRUE(directory.add(service("crm/1", "contacts")));
  Status twice = directory.add(service("mail/2", "letters"));
  EXPECT_EQ(twice.message(),
            "plugin letters: the service mail/2 is published by plugin post already; only one of them can be in a configuration");
  EXPECT_EQ(directory.find("mail/1"), nullptr);
  EXPECT_EQ(directory.find("mail/2")->plugin(), "post");
  EXPECT_EQ(directory.explain_missing("mail/1"),
            "the service mail/1, which no plugin publishes; did you mean 'mail/2'?; there are: crm/1 (plugin contacts), "
            "mail/2 (plugin post)");
  EXPECT_THAT(directory.explain_missing("quite.another/1"), AllOf(HasSubstr("`plugins:`"), Not(HasSubstr("did you mean"))));
}

}  // namespace
}  // namespace postern::extension
