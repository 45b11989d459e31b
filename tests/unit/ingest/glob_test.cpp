#include "core/ingest/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::ingest {
namespace {

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

}  // namespace
}  // namespace postern::ingest
