#include "core/store/sqlite/bulk_insert.h"

#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

class BulkInsertTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(folder_.file("x.db"), false);
    ASSERT_TRUE(opened.is_ok()) << opened.status().message();
    database_ = std::move(*opened);
    ASSERT_TRUE(database_.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)").is_ok());
    ASSERT_TRUE(rows_.prepare(database_, "t (n, x)", 2).is_ok());
  }
  int insert(int64_t first, size_t rows) {
    return rows_.run(rows, [&](Statement& s, int at, size_t row) {
      s.bind(at, first + static_cast<int64_t>(row)).bind(at + 1, std::string_view(row % 2 == 0 ? "even" : "odd"));
    });
  }

  testing::TempFolder folder_;
  Database database_;
  BulkInsert rows_;
};

TEST_F(BulkInsertTest, EachRowOnceHoweverMany) {
  for (size_t rows = 0; rows <= 200; ++rows) {
    ASSERT_EQ(insert(1000, rows), SQLITE_DONE);
    EXPECT_EQ(*database_.integer("SELECT count(*) FROM t"), static_cast<int64_t>(rows));
    EXPECT_EQ(*database_.integer("SELECT count(*) FROM t WHERE (x = 'even') = (n % 2 = 0)"), static_cast<int64_t>(rows));
    EXPECT_EQ(*database_.integer("SELECT ifnull(max(n), 999) FROM t"), 999 + static_cast<int64_t>(rows));
    ASSERT_TRUE(database_.execute("DELETE FROM t").is_ok());
  }
}

TEST_F(BulkInsertTest, ARowThatDoesNotFitIsTold) {
  ASSERT_EQ(insert(50, 1), SQLITE_DONE);
  EXPECT_EQ(insert(1, 100) & 0xff, SQLITE_CONSTRAINT);
}

}  // namespace
}  // namespace postern::store::sqlite
