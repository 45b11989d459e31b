#include "core/store/sqlite/bloom_filter.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/base/digest.h"

namespace postern::store::sqlite {
namespace {

BloomFilter::Hash key(uint64_t number) {
  Sha256 digest = sha256(std::to_string(number));
  BloomFilter::Hash key;
  std::memcpy(&key, digest.data(), sizeof key);
  return key;
}

size_t found(const BloomFilter& filter, uint64_t from, uint64_t to) {
  size_t n = 0;
  for (uint64_t i = from; i < to; ++i) n += filter.may_have(key(i));
  return n;
}

TEST(BloomFilter, FindsAllOfItsOwnAndFewOthers) {
  BloomFilter filter(1024);
  EXPECT_EQ(found(filter, 0, 1000), 0u);
  constexpr uint64_t kKeys = 300'000;  // it grows many times
  for (uint64_t i = 0; i < kKeys; ++i) filter.add(key(i), 1);
  EXPECT_EQ(found(filter, 0, kKeys), kKeys);
  EXPECT_LT(found(filter, kKeys, 2 * kKeys), kKeys / 20);
  EXPECT_LT(filter.bytes(), kKeys * 6);
}

// However long it runs: memory follows what is remembered, not what has been seen.
TEST(BloomFilter, StaysAsLargeAsWhatItRemembers) {
  constexpr uint64_t kRemembered = 20'000;
  BloomFilter filter(1024);
  size_t most = 0;
  for (uint64_t i = 0; i < 50 * kRemembered; ++i) {
    filter.add(key(i), static_cast<int64_t>(i + kRemembered));
    if (i % 1000 == 0) filter.drop_expired(static_cast<int64_t>(i));
    most = std::max(most, filter.bytes());
  }
  EXPECT_LT(most, kRemembered * 10);
  EXPECT_EQ(found(filter, 49 * kRemembered, 50 * kRemembered), kRemembered);
}

TEST(BloomFilter, ForgetsAPartWhenTheLastOfItsKeysHasExpired) {
  constexpr uint64_t kRoom = 4096;
  BloomFilter filter(kRoom);
  for (uint64_t i = 0; i < kRoom; ++i) filter.add(key(i), i == 7 ? 200 : 100);
  for (uint64_t i = kRoom; i < kRoom + 10; ++i) filter.add(key(i), 300);
  filter.drop_expired(199);
  EXPECT_EQ(found(filter, 0, kRoom + 10), kRoom + 10);
  filter.drop_expired(200);
  EXPECT_EQ(found(filter, kRoom, kRoom + 10), 10u);
  EXPECT_LT(found(filter, 0, kRoom), kRoom / 20);
  filter.drop_expired(300);
  EXPECT_EQ(filter.bytes(), 0u);
  filter.add(key(1), 400);
  EXPECT_TRUE(filter.may_have(key(1)));
}

}  // namespace
}  // namespace postern::store::sqlite
