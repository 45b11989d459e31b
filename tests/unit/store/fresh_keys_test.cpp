#include "core/store/sqlite/fresh_keys.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace postern::store::sqlite {
namespace {

using Key = FreshKeys::Key;

class FreshKeysTest : public ::testing::Test {
 protected:
  Key random_key() {
    Key key;
    for (auto& byte : key) byte = static_cast<unsigned char>(random_());
    return key;
  }
  // Each time with another id.
  void add(const Key& key) {
    SeenKey entry{key, {}, ++added_};
    keys_.add(entry);
    newest_[key] = added_;
  }
  void expect_all_sorted() {
    std::vector<const SeenKey*> sorted;
    for (size_t place = 0, before = SIZE_MAX; before != sorted.size();) {
      before = sorted.size();
      place = keys_.take_sorted(place, sorted);
    }
    ASSERT_EQ(sorted.size(), newest_.size());
    size_t at = 0;
    for (const auto& [key, id] : newest_) {
      ASSERT_EQ(sorted[at]->key, key) << at;
      ASSERT_EQ(sorted[at++]->until_ms, id);
    }
  }

  std::mt19937 random_{7};
  FreshKeys keys_{100};
  std::map<Key, int64_t> newest_;
  int64_t added_ = 0;
};

TEST_F(FreshKeysTest, GivesNothingOutWhereNothingIs) { expect_all_sorted(); }

TEST_F(FreshKeysTest, GivesAllOutInOrderTheNewestOfEachKey) {
  std::vector<Key> again;
  for (int i = 0; i < 20'000; ++i) {
    add(i % 10 == 9 ? again[random_() % again.size()] : again.emplace_back(random_key()));
  }
  expect_all_sorted();
  for (const auto& [key, id] : newest_) ASSERT_EQ(keys_.find(key)->until_ms, id);
}

// The last places of the table, and more of them than stand behind its end.
TEST_F(FreshKeysTest, TakesManyKeysThatBeginAlike) {
  for (int bits = 0; bits < 256; ++bits) {
    Key key = random_key();
    key[0] = key[1] = 0xff;
    key[2] = static_cast<unsigned char>(bits);
    add(key);
  }
  for (int i = 0; i < 1000; ++i) add(random_key());
  expect_all_sorted();
}

TEST_F(FreshKeysTest, TakesBackTheLastOnes) {
  Key key = random_key();
  add(key);
  keys_.commit();
  for (int i = 0; i < 500; ++i) keys_.add({i % 7 == 0 ? key : random_key(), {}, 1000 + i});  // the table grows meanwhile
  while (keys_.uncommitted() > 0) keys_.take_back();
  expect_all_sorted();
}

}  // namespace
}  // namespace postern::store::sqlite
