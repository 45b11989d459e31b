#include "core/base/ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace postern {
namespace {

using ::testing::MatchesRegex;

constexpr int64_t kNow = 1'795'000'000'000;
constexpr int64_t kMax48 = (int64_t{1} << 48) - 1;

TEST(EventId, IsWhatItsDescriptionSays) {
  EXPECT_THAT(make_event_id(kNow, 1), MatchesRegex("evt_[0-9a-hjkmnp-tv-z]{26}"));
  EXPECT_LE(make_event_id(kMax48, kMax48).substr(4, 1), "7") << "128 bits leave two of the first digit free";
}

TEST(EventId, LeadsBackToItsSeq) {
  for (int64_t seq : {int64_t{0}, int64_t{1}, int64_t{31}, int64_t{32}, int64_t{123456789}, int64_t{1} << 40, kMax48}) {
    for (int64_t time : {int64_t{0}, kNow, kMax48}) EXPECT_EQ(seq_of_event_id(make_event_id(time, seq)), seq);
  }
}

TEST(EventId, SortsByTimeThenSeq) {
  std::vector<std::string> ids;
  for (int64_t time : {int64_t{0}, int64_t{1}, kNow - 1, kNow, kNow + 1, kNow + 1000, kMax48}) {
    for (int64_t seq : {int64_t{1}, int64_t{2}, int64_t{31}, int64_t{32}, int64_t{33}, int64_t{1} << 33})
      ids.push_back(make_event_id(time, seq));
  }
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST(EventId, OfOtherStoresDiffers) { EXPECT_NE(make_event_id(kNow, 7), make_event_id(kNow, 7)); }

TEST(EventId, IsRefusedWhenMalformed) {
  const std::string good = make_event_id(kNow, 7);
  ASSERT_TRUE(seq_of_event_id(good));
  for (const std::string& bad :
       {std::string(), std::string("evt_"), good.substr(0, 29), good + "0", good.substr(4), "dlv_" + good.substr(4),
        "EVT_" + good.substr(4), " " + good, good + " ", good + '\0', good.substr(0, 29) + "i", good.substr(0, 29) + "l",
        good.substr(0, 29) + "o", good.substr(0, 29) + "u", good.substr(0, 29) + "A", good.substr(0, 29) + "-", good.substr(0, 29) + "\xff",
        good.substr(0, 29) + '\0'}) {
    EXPECT_FALSE(seq_of_event_id(bad)) << bad;
  }
}

TEST(DeliveryId, NamesItsRow) {
  EXPECT_EQ(delivery_id(1), "dlv_1");
  EXPECT_EQ(delivery_id(INT64_MAX), "dlv_9223372036854775807");
}

TEST(RequestId, IsUniqueAcrossThreads) {
  std::mutex mutex;
  std::set<std::string> all;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<std::string> mine;
      for (int i = 0; i < 5000; ++i) mine.push_back(make_request_id());
      std::lock_guard lock(mutex);
      all.insert(mine.begin(), mine.end());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(all.size(), 20'000u);
  EXPECT_THAT(*all.begin(), MatchesRegex("req_[0-9a-f]{16}"));
}

TEST(RandomBytes, AreAsManyAsAskedForAndNeverTheSame) {
  EXPECT_EQ(random_bytes(0), "");
  for (size_t size : {size_t{1}, size_t{32}, size_t{100'000}}) EXPECT_EQ(random_bytes(size).size(), size);
  EXPECT_NE(random_bytes(32), random_bytes(32));
}

}  // namespace
}  // namespace postern
