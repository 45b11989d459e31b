#include "core/gateway/notices.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace postern::gateway {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NoticesTest : public ::testing::Test {
 protected:
  std::vector<std::string> look(Notices::Sight sight, int64_t at_ms) {
    told_.clear();
    notices_.look(sight, at_ms);
    std::vector<std::string> types;
    for (const auto& [type, body, id] : told_) types.push_back(type);
    return types;
  }
  static Notices::Breaker breaker(uint64_t opens, const char* of = "subscriber") {
    return {"smtp", of, "office", opens, 5, 1234, "bad \xff byte"};
  }

  struct Told {
    std::string type;
    json body;
    std::string id;
  };
  std::vector<Told> told_;
  Notices notices_{[this](std::string_view type, std::string body, std::string id) {
    told_.push_back({std::string(type), json::parse(body), std::move(id)});
  }};
};

TEST_F(NoticesTest, ABreakerIsToldOfWhenItOpens) {
  EXPECT_THAT(look({{breaker(0)}}, 0), IsEmpty());
  EXPECT_THAT(look({{breaker(1)}}, 1), ElementsAre("postern.breaker.opened"));
  EXPECT_EQ(told_[0].body["plugin"], "smtp");
  EXPECT_EQ(told_[0].body["subscriber"], "office");
  EXPECT_EQ(told_[0].body["failures"], 5);
  EXPECT_EQ(told_[0].body["next_trial_at"], 1234);
  EXPECT_THAT(look({{breaker(1)}}, 2), IsEmpty());
  EXPECT_THAT(look({{breaker(3)}}, 3), ElementsAre("postern.breaker.opened")) << "twice since the last look: told once";
}

TEST_F(NoticesTest, OneThatIsOpenAtTheFirstLookIsToldOf) {
  EXPECT_THAT(look({{breaker(1, "upstream")}}, 0), ElementsAre("postern.breaker.opened"));
  EXPECT_EQ(told_[0].body["upstream"], "office");
  EXPECT_THAT(look({{breaker(1, "upstream"), breaker(0)}}, 1), IsEmpty()) << "a subscriber of that name is another";
}

TEST_F(NoticesTest, CountsThatBeginAnewAreNoOpening) {
  look({{breaker(4)}}, 0);
  EXPECT_THAT(look({{breaker(0)}}, 1), IsEmpty());
  EXPECT_THAT(look({{breaker(1)}}, 2), ElementsAre("postern.breaker.opened"));
}

TEST_F(NoticesTest, ABacklogIsToldOfOnceWhenItLasts) {
  constexpr int64_t kStart = 1000, kLater = kStart + Notices::kLastingMs;
  EXPECT_THAT(look({{}, 101, 100}, kStart), IsEmpty());
  EXPECT_THAT(look({{}, 500, 100}, kLater - 1), IsEmpty());
  EXPECT_THAT(look({{}, 500, 100}, kLater), ElementsAre("postern.backlog.high"));
  EXPECT_EQ(told_[0].body["waiting"], 500);
  EXPECT_EQ(told_[0].body["max_waiting"], 100);
  EXPECT_EQ(told_[0].body["for_ms"], Notices::kLastingMs);
  EXPECT_THAT(look({{}, 500, 100}, kLater + 1), IsEmpty());
}

TEST_F(NoticesTest, ABurstIsNoBacklog) {
  look({{}, 101, 100}, 1000);
  look({{}, 100, 100}, 30'000);
  EXPECT_THAT(look({{}, 101, 100}, 70'000), IsEmpty()) << "high since just now";
}

TEST_F(NoticesTest, ABacklogAroundItsLimitIsNotToldOfAgain) {
  look({{}, 101, 100}, 1);
  EXPECT_THAT(look({{}, 101, 100}, 100'000), ElementsAre("postern.backlog.high"));
  look({{}, 99, 100}, 110'000);
  look({{}, 101, 100}, 120'000);
  EXPECT_THAT(look({{}, 101, 100}, 220'000), IsEmpty());
  look({{}, 50, 100}, 230'000);
  look({{}, 101, 100}, 240'000);
  EXPECT_THAT(look({{}, 101, 100}, 340'000), ElementsAre("postern.backlog.high"));
}

TEST_F(NoticesTest, AQuarantineHasAnIdOfItsOwn) {
  notices_.tell_of_quarantine({.plugin = "acme", .build = "b1", .crashes = 5, .last_at = 77, .last = "SIGSEGV", .held_until = 99});
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].type, "postern.plugin.quarantined");
  EXPECT_EQ(told_[0].id, "quarantine/acme/77");
  EXPECT_EQ(told_[0].body["held_until"], 99);
}

}  // namespace
}  // namespace postern::gateway
