// Records through the store: pages of them, in the table, in memory or on the way; removal, and versions that never come back.
#include <gmock/gmock.h>

#include "core/dispatch/delivery.h"
#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using Kind = Settlement::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RecordsTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }

  Status write(std::vector<RecordWrite> records) {
    auto made = testing::settlement(put_delivery(++number_), Kind::kDone);
    made->records = std::move(records);
    return settle(std::move(made))->status;
  }
  void put(const std::string& key, const std::string& value = "1") {
    ASSERT_TRUE(write({{"things", key, value, kAnyVersion}}));
  }
  // Keys and values of a page.
  std::vector<std::string> page(const std::string& prefix = "", const std::string& after = "", size_t limit = 100) {
    auto found = store_->records({"acme", "things", prefix, after, limit});
    EXPECT_TRUE(found.is_ok());
    std::vector<std::string> list;
    for (const NamedRecord& r : *found) list.push_back(r.key + "=" + r.value);
    return list;
  }
  uint64_t version(const std::string& key) {
    auto found = store_->record("acme", "things", key);
    EXPECT_TRUE(found.is_ok());
    return *found ? (*found)->version : 0;
  }

  int number_ = 0;
};

TEST_F(RecordsTest, ArePagedByPrefixInOrder) {
  for (const char* key : {"b2", "a", "b1", "c", "b3"}) put(key);
  ASSERT_TRUE(write({{"others", "b0", "1", 0}}));
  EXPECT_THAT(page(), ElementsAre("a=1", "b1=1", "b2=1", "b3=1", "c=1"));
  EXPECT_THAT(page("b"), ElementsAre("b1=1", "b2=1", "b3=1"));
  EXPECT_THAT(page("b", "", 2), ElementsAre("b1=1", "b2=1"));
  EXPECT_THAT(page("b", "b2", 2), ElementsAre("b3=1"));
  EXPECT_THAT(page("b", "b3"), IsEmpty());
  EXPECT_THAT(page("a", "b"), IsEmpty());
}

TEST_F(RecordsTest, RemovedOnesAreGone) {
  put("a");
  put("b");
  EXPECT_TRUE(write({{"things", "a", "", 1}}));
  EXPECT_EQ(version("a"), 0u);
  EXPECT_THAT(page(), ElementsAre("b=1"));
  EXPECT_EQ(write({{"things", "b", "", 7}}).code(), Code::kConflict);
  EXPECT_TRUE(write({{"things", "nobody", "", 0}}));
  EXPECT_TRUE(write({{"things", "nobody", "", kAnyVersion}}));
  EXPECT_THAT(page(), ElementsAre("b=1"));
  EXPECT_EQ(one("SELECT count(*) FROM record WHERE value = ''"), "0") << "other programs see no shells";
}

// A handler that read version 2 before the removal must not overwrite what was made after it.
TEST_F(RecordsTest, AVersionNeverComesBack) {
  put("a", "old");
  put("a", "old");
  ASSERT_EQ(version("a"), 2u);
  EXPECT_TRUE(write({{"things", "a", "", 2}}));
  EXPECT_TRUE(write({{"things", "a", "new", 0}}));
  EXPECT_GT(version("a"), 2u);
  EXPECT_EQ(write({{"things", "a", "stale", 2}}).code(), Code::kConflict);
  EXPECT_TRUE(write({{"things", "a", "", version("a")}}));
  uint64_t last = 3;
  close();
  open();
  put("a", "newer");
  EXPECT_GT(version("a"), last) << "nor after a restart";
}

TEST_F(RecordsTest, ManyInOneTransaction) {
  EXPECT_TRUE(
      write({{"things", "a", "1", 0}, {"things", "b", "1", 0}, {"things", "a", "", 1}, {"things", "a", "2", 0}, {"things", "a", "3", 1}}));
  EXPECT_THAT(page(), ElementsAre("a=3", "b=1"));
  EXPECT_EQ(write({{"things", "b", "2", 1}, {"things", "a", "4", 99}}).code(), Code::kConflict);
  EXPECT_THAT(page(), ElementsAre("a=3", "b=1")) << "all of them or none";
}

TEST_F(RecordsTest, LargePagesEndEarlyAndGoOn) {
  std::string large(kMaxPageBytes / 2, 'x');
  for (const char* key : {"a", "b", "c"}) put(key, "\"" + large + "\"");
  std::vector<std::string> keys;
  size_t pages = 0;
  for (std::string after;; ++pages) {
    auto found = store_->records({"acme", "things", "", after, 100});
    ASSERT_TRUE(found.is_ok());
    if (found->empty()) break;
    for (const NamedRecord& r : *found) keys.push_back(r.key);
    after = found->back().key;
  }
  EXPECT_EQ(pages, 2u);
  EXPECT_THAT(keys, ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace postern::store
