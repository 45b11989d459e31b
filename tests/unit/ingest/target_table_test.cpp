#include "core/ingest/target_table.h"

#include <gmock/gmock.h>

#include <thread>

namespace postern::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> names(const Targets& targets) {
  std::vector<std::string> list;
  for (const Target& t : *targets) list.push_back(t.plugin + "/" + t.subscriber);
  return list;
}

TEST(GlobTest, Matches) {
  struct Case {
    const char* glob;
    const char* text;
    bool matches;
  };
  const Case cases[] = {
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "a.b", true},
      {"a", "a", true},
      {"a", "A", false},
      {"a", "ab", false},
      {"a*", "ab", true},
      {"*b", "ab", true},
      {"*b", "abc", false},
      {"a*c", "abbc", true},
      {"a*c", "ac", true},
      {"a*b*c", "axbxbxc", true},
      {"a*b*c", "axc", false},
      {"**", "x", true},
      {"*a*", "bab", true},
      {"a.*", "a", false},
      {"a.*", "a.", true},
      {"?", "a", false},
      {"?", "?", true},
      {"[a]", "a", false},
      {"*.made", "x.made", true},
      {"*aab", "aaaab", true},
      {"a*", "", false},
  };
  for (const Case& c : cases) EXPECT_EQ(matches_glob(c.glob, c.text), c.matches) << c.glob << " " << c.text;
}

TEST(GlobTest, ALineOfStarsDoesNotExplode) {
  std::string glob, text(20'000, 'a');
  for (int i = 0; i < 200; ++i) glob += "*a";
  EXPECT_FALSE(matches_glob(glob + "b", text));
  EXPECT_TRUE(matches_glob(glob, text));
}

TEST(GlobTest, ATypeMatchesWithAndWithoutItsProvider) {
  EXPECT_TRUE(matches_type("thing.made", "acme", "acme.thing.made"));
  EXPECT_TRUE(matches_type("acme.thing.made", "acme", "acme.thing.made"));
  EXPECT_TRUE(matches_type("thing.*", "acme", "acme.thing.made"));
  EXPECT_FALSE(matches_type("made", "acme", "acme.thing.made"));
  EXPECT_FALSE(matches_type("thing.made", "acm", "acme.thing.made"));
  EXPECT_FALSE(matches_type("", "acme", "acme"));
  EXPECT_TRUE(matches_type("other.kind", "acme", "other.kind"));
}

class TargetTableTest : public ::testing::Test {
 protected:
  TargetTableTest() {
    table_.add_handlers("acme", "handlers", {"thing.*", "acme.call.ended", "thing.made"});
    table_.add_handlers("other", "handlers", {"*"});
    table_.add_subscription("mailer", "all of acme", "acme.*");
    table_.add_subscription("mailer", "made", "*.made");
  }
  std::vector<std::string> match(const std::string& provider, const std::string& type) {
    return names(table_.match(provider, type));
  }
  TargetTable table_;
};

TEST_F(TargetTableTest, HandlersTakeTheirOwnProvidersEvents) {
  EXPECT_THAT(match("acme", "acme.call.ended"), ElementsAre("acme/handlers", "mailer/all of acme"));
  EXPECT_THAT(match("acme", "acme.thing.lost"), ElementsAre("acme/handlers", "mailer/all of acme"));
  EXPECT_THAT(match("acme", "acme.unknown"), ElementsAre("mailer/all of acme"));
  EXPECT_THAT(match("other", "other.anything"), ElementsAre("other/handlers"));
  EXPECT_THAT(match("third", "third.thing"), IsEmpty());
}

TEST_F(TargetTableTest, OneDeliveryHoweverManyGlobsMatch) {
  EXPECT_THAT(match("acme", "acme.thing.made"), ElementsAre("acme/handlers", "mailer/all of acme", "mailer/made"));
}

TEST_F(TargetTableTest, SubscriptionsMatchTheWholeType) {
  EXPECT_THAT(match("third", "acme.thing"), ElementsAre("mailer/all of acme"));
  table_.add_subscription("mailer", "bare", "thing.made");
  EXPECT_THAT(match("acme", "acme.thing.made"), ElementsAre("acme/handlers", "mailer/all of acme", "mailer/made"));
}

TEST_F(TargetTableTest, EqualAnswersAreShared) {
  EXPECT_EQ(table_.match("acme", "acme.thing.a"), table_.match("acme", "acme.thing.b"));
  EXPECT_EQ(table_.match("third", "a"), table_.match("third", "b"));
  EXPECT_NE(table_.match("third", "a"), nullptr);
}

TEST_F(TargetTableTest, ManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) EXPECT_EQ(table_.match("acme", "acme.thing." + std::to_string(i))->size(), 2u);
    });
  }
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace postern::ingest
