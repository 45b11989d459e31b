#include "core/plugin/quarantine.h"

#include <gmock/gmock.h>

namespace postern::plugin {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

config::Quarantine policy(uint32_t crashes, int64_t within_ms, int64_t lasts_ms) {
  return {crashes, config::milliseconds(within_ms), config::milliseconds(lasts_ms)};
}

store::Crash crash(const std::string& plugin, const std::string& build, int64_t at) {
  store::Crash made;
  made.plugin = plugin;
  made.build = build;
  made.at = at;
  made.signal = "SIGSEGV";
  made.place = plugin + ".so+0x10";
  made.entry_point = "handler";
  return made;
}

TEST(QuarantinedUntil, SoManyWithinTheTime) {
  EXPECT_EQ(quarantined_until(policy(3, 100, 1000), {}, 500), 0);
  EXPECT_EQ(quarantined_until(policy(3, 100, 1000), {400, 450}, 500), 0);
  EXPECT_EQ(quarantined_until(policy(3, 100, 1000), {450, 400, 500}, 500), 1500);
  EXPECT_EQ(quarantined_until(policy(3, 100, 1000), {399, 450, 500}, 500), 0);  // too far apart
  EXPECT_EQ(quarantined_until(policy(1, 100, 1000), {500}, 500), 1500);
}

TEST(QuarantinedUntil, ItsTimeBeginsWithTheLastOfThem) {
  EXPECT_EQ(quarantined_until(policy(2, 100, 1000), {100, 110, 120}, 130), 1120);
  EXPECT_EQ(quarantined_until(policy(2, 100, 1000), {100, 110}, 1109), 1110);
  EXPECT_EQ(quarantined_until(policy(2, 100, 1000), {100, 110}, 1110), 0);
  EXPECT_EQ(quarantined_until(policy(2, 100, 1000), {100, 110, 900}, 1000), 1110);  // one alone does not lengthen it
}

TEST(QuarantinedUntil, AClockThatWasSetBackDoesNotHoldItForLonger) {
  EXPECT_EQ(quarantined_until(policy(2, 100, 1000), {90'000'000, 90'000'001}, 500), 1500);
}

TEST(Quarantine, CountsTheBuildThatIsThereNow) {
  Quarantine quarantine;
  std::vector<store::Crash> crashes = {crash("acme", "b1", 10), crash("acme", "b1", 11), crash("mail", "b1", 12), crash("mail", "b2", 13)};
  quarantine.judge("acme", "b1", policy(2, 100, 1000), crashes, 20);
  quarantine.judge("mail", "b2", policy(2, 100, 1000), crashes, 20);
  EXPECT_TRUE(quarantine.holds("acme"));
  EXPECT_FALSE(quarantine.holds("mail"));
  EXPECT_FALSE(quarantine.holds("nobody"));
  auto states = quarantine.states();
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[0].until, 1011);
  EXPECT_EQ(states[0].last, "SIGSEGV in acme.so+0x10 (handler)");
  EXPECT_EQ(states[1].crashes, 1u);
  EXPECT_EQ(states[1].all, 2u);
  quarantine.judge("acme", "b2", policy(2, 100, 1000), crashes, 20);  // another build
  EXPECT_FALSE(quarantine.holds("acme"));
}

TEST(Quarantine, WhatWasPardonedDoesNotCount) {
  Quarantine quarantine;
  std::vector<store::Crash> crashes = {crash("acme", "b1", 10), crash("acme", "b1", 11)};
  crashes.front().pardoned_at = 12;
  quarantine.judge("acme", "b1", policy(2, 100, 1000), crashes, 20);
  EXPECT_FALSE(quarantine.holds("acme"));
}

TEST(Quarantine, EndsAfterItsTimeOnce) {
  Quarantine quarantine;
  quarantine.judge("acme", "b1", policy(1, 100, 1000), {crash("acme", "b1", 10)}, 20);
  EXPECT_EQ(quarantine.next_end(), 1010);
  EXPECT_THAT(quarantine.take_released(1009), IsEmpty());
  EXPECT_TRUE(quarantine.holds("acme"));
  EXPECT_THAT(quarantine.take_released(1010), ElementsAre("acme"));
  EXPECT_FALSE(quarantine.holds("acme"));
  EXPECT_THAT(quarantine.take_released(1010), IsEmpty());
  EXPECT_EQ(quarantine.next_end(), std::nullopt);
}

TEST(Quarantine, EndsByCommand) {
  Quarantine quarantine;
  quarantine.judge("acme", "b1", policy(1, 100, 1000), {crash("acme", "b1", 10)}, 20);
  EXPECT_FALSE(quarantine.release("mail"));
  EXPECT_TRUE(quarantine.release("acme"));
  EXPECT_THAT(quarantine.take_released(20), ElementsAre("acme"));
  EXPECT_FALSE(quarantine.release("acme"));
}

}  // namespace
}  // namespace postern::plugin
