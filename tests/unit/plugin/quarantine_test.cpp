#include "core/plugin/quarantine.h"

#include <gmock/gmock.h>

namespace postern::plugin {
namespace {

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

TEST(Judge, CountsTheBuildThatIsThereNow) {
  std::vector<store::Crash> crashes = {crash("acme", "b1", 10), crash("acme", "b1", 11), crash("mail", "b1", 12), crash("mail", "b2", 13)};
  Standing acme = judge("acme", "b1", policy(2, 100, 1000), crashes, 20);
  EXPECT_EQ(acme.held_until, 1011);
  EXPECT_EQ(acme.crashes, 2u);
  EXPECT_EQ(acme.last, "SIGSEGV in acme.so+0x10 (handler)");
  EXPECT_EQ(acme.last_at, 11);
  Standing mail = judge("mail", "b2", policy(2, 100, 1000), crashes, 20);
  EXPECT_EQ(mail.held_until, 0);
  EXPECT_EQ(mail.crashes, 1u);
  EXPECT_EQ(mail.all, 2u);
  EXPECT_EQ(judge("acme", "b2", policy(2, 100, 1000), crashes, 20).held_until, 0);  // another build
}

TEST(Judge, WhatWasPardonedDoesNotCount) {
  std::vector<store::Crash> crashes = {crash("acme", "b1", 10), crash("acme", "b1", 11)};
  crashes.front().pardoned_at = 12;
  Standing acme = judge("acme", "b1", policy(2, 100, 1000), crashes, 20);
  EXPECT_EQ(acme.held_until, 0);
  EXPECT_EQ(acme.crashes, 1u);
  EXPECT_EQ(acme.all, 2u);
}

TEST(Judge, WhoHasNotCrashedIsCalled) {
  Standing acme = judge("acme", "b1", policy(1, 100, 1000), {}, 20);
  EXPECT_EQ(acme.held_until, 0);
  EXPECT_EQ(acme.last_at, 0);
}

}  // namespace
}  // namespace postern::plugin
