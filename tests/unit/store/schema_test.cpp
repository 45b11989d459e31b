#include "core/store/sqlite/schema.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::new_event;
using testing::Sql;

class SchemaTest : public testing::StoreTest {
 protected:
  Status refusal() const {
    auto opened = SqliteStore::open(path(), {});
    return opened.status();
  }
  std::string content() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
};

TEST_F(SchemaTest, MakesAnEmptyStore) {
  open();
  Sql sql(path());
  EXPECT_THAT(sql.rows("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name"),
              ElementsAre("attempt", "crash", "dedupe", "delivery", "event", "job", "job_item", "meta", "record", "record_log", "timer"));
  EXPECT_EQ(sql.one("PRAGMA user_version"), std::to_string(kSchemaVersion));
  EXPECT_EQ(sql.one("PRAGMA journal_mode"), "wal");
}

TEST_F(SchemaTest, AFileWithoutBytesIsAnEmptyStore) {
  write("");
  open();
  EXPECT_EQ(put(new_event(1))->outcome, ingest::Outcome::kStored);
}

TEST_F(SchemaTest, OpensItsOwnAgain) {
  open();
  put(new_event(1));
  restart();
  EXPECT_EQ(one("SELECT count(*) FROM event"), "1");
}

// Every delivery is found again, by its event and by its state.
TEST_F(SchemaTest, TakesOverOlderVersions) {
  using Kind = Settlement::Kind;
  open();
  settle(testing::settlement(put_delivery(1), Kind::kDone));
  put(new_event(2));
  put(new_event(3, {{"acme", "handlers"}, {"acme", "mail"}}));
  put(new_event(4, {{"acme", "handlers"}}));
  settle(testing::settlement(4, Kind::kDead));
  Sql(path(), false).run("INSERT INTO record VALUES ('acme', 'things', 'b', '2', 4, 5), ('acme', 'things', 'a', '1', 2, 3)");
  for (int version : {1, 2, 3, 4, 5, 6}) {
    close();
    testing::downgrade(path(), version);
    open();
    EXPECT_EQ(one("PRAGMA user_version"), std::to_string(kSchemaVersion));
    EXPECT_THAT(Sql(path()).rows("SELECT first_delivery, deliveries FROM event ORDER BY seq"), ElementsAre("1|1", "0|0", "2|2", "4|1"));
    EXPECT_THAT(Sql(path()).rows("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"),
                ElementsAre("delivery_dead", "delivery_replayed", "timer_due"));
    EXPECT_THAT(Sql(path()).rows("SELECT * FROM record ORDER BY key"), ElementsAre("acme|things|a|1|2|3", "acme|things|b|2|4|5"));
    EXPECT_EQ((*store_->record("acme", "things", "b"))->version, 4u);
    EXPECT_EQ(store_->find({}, false, {})->rows.size(), 1u);
    EXPECT_TRUE(store_->jobs(false)->empty());
    EXPECT_EQ(one("SELECT count(*) FROM timer"), "0");
    EXPECT_TRUE(store_->crashes("", 10)->empty());
    EXPECT_EQ(one("SELECT value FROM meta WHERE name = 'delivery_open_seq'"), "2");
    EXPECT_EQ(store_->counters().open, 2u);
    EXPECT_EQ(store_->counters().dead, 1u);
    EXPECT_EQ(open_deliveries(0, 10)->size(), 2u);
    auto events = store_->events({});
    std::vector<std::string> states;
    for (const EventRow& row : *events) states.push_back(row.state);
    EXPECT_THAT(states, ElementsAre("dead", "queued", "none", "done"));
    DeliveryFilter of_event, queued;
    of_event.event = 3;
    queued.state = "queued";
    EXPECT_EQ(store_->deliveries(of_event)->size(), 2u);
    EXPECT_EQ(store_->deliveries(queued)->size(), 2u);
  }
}

TEST_F(SchemaTest, TakesOverAnOlderStoreInWhichNothingIsOpen) {
  open();
  settle(testing::settlement(put_delivery(1), Settlement::Kind::kDone));
  settle(testing::settlement(put_delivery(2), Settlement::Kind::kDone));
  close();
  testing::downgrade(path(), 2);
  open();
  EXPECT_EQ(one("SELECT value FROM meta WHERE name = 'delivery_open_seq'"), "3");
  put_delivery(3);
  EXPECT_EQ(open_deliveries(0, 10)->size(), 1u);
}

TEST_F(SchemaTest, RefusesANewerVersionUntouched) {
  open();
  put(new_event(1));
  close();
  Sql(path(), false).run("PRAGMA journal_mode=DELETE; PRAGMA user_version=" + std::to_string(kSchemaVersion + 1));
  std::string before = content();

  Status refused = refusal();
  EXPECT_EQ(refused.code(), Code::kInvalid);
  EXPECT_THAT(refused.message(), HasSubstr("newer Postern"));
  EXPECT_THAT(refused.message(), HasSubstr(path()));
  EXPECT_EQ(content(), before);
}

// With what that version wrote last still in the log.
TEST_F(SchemaTest, RefusesANewerVersionsLogUntouched) {
  open();
  close();
  std::string copy = folder_.file("copy.db");
  {
    Sql newer(path(), false);
    newer.run("PRAGMA user_version=" + std::to_string(kSchemaVersion + 1));
    std::filesystem::copy(path(), copy);
    std::filesystem::copy(path() + "-wal", copy + "-wal");
  }
  auto sizes = [&] {
    auto size = [](const std::string& file) {
      return std::filesystem::exists(file) ? std::filesystem::file_size(file) : 0;
    };
    return std::make_pair(size(copy), size(copy + "-wal"));
  };
  auto before = sizes();
  ASSERT_GT(before.second, 0u);
  EXPECT_EQ(SqliteStore::open(copy, {}).status().code(), Code::kInvalid);
  EXPECT_EQ(sizes(), before);
}

TEST_F(SchemaTest, RefusesADatabaseOfAnotherProgramUntouched) {
  Sql(path(), false).run("CREATE TABLE contacts (name TEXT); INSERT INTO contacts VALUES ('x')");
  std::string before = content();
  EXPECT_EQ(refusal().code(), Code::kInvalid);
  EXPECT_THAT(refusal().message(), HasSubstr("another program"));
  EXPECT_EQ(content(), before);
}

TEST_F(SchemaTest, RefusesAnotherProgramsDatabaseOfTheSameVersion) {
  Sql(path(), false)
      .run("CREATE TABLE contacts (name TEXT); PRAGMA application_id=7; PRAGMA user_version=" +
           std::to_string(kSchemaVersion));
  EXPECT_EQ(refusal().code(), Code::kInvalid);
}

TEST_F(SchemaTest, RefusesWhatIsNoDatabaseUntouched) {
  std::string text(5000, 'x');
  write(text);
  EXPECT_FALSE(refusal().is_ok());
  EXPECT_EQ(content(), text);
}

TEST_F(SchemaTest, RefusesASecondGateway) {
  open();
  Status refused = refusal();
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_THAT(refused.message(), HasSubstr("another gateway"));
  close();
  EXPECT_TRUE(refusal().is_ok()) << refusal().message();
}

TEST_F(SchemaTest, RefusesASecondGatewayThroughALink) {
  open();
  std::filesystem::create_symlink(path(), folder_.file("link.db"));
  auto opened = SqliteStore::open(folder_.file("link.db"), {});
  EXPECT_FALSE(opened.is_ok());
}

TEST_F(SchemaTest, FilesAreForTheirOwnerAlone) {
  mode_t before = ::umask(0);
  open();
  put(new_event(1));
  ::umask(before);
  size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    struct stat found {};
    ASSERT_EQ(::stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u) << entry.path();
    ++seen;
  }
  EXPECT_EQ(seen, 4u);  // the database, its log, the log's index and the lock
}

TEST_F(SchemaTest, MakesItsFolder) {
  auto opened = SqliteStore::open(folder_.file("a/b/events.db"), {});
  EXPECT_TRUE(opened.is_ok()) << opened.status().message();
}

TEST_F(SchemaTest, SaysWhereItCannotBe) {
  write("");
  auto opened = SqliteStore::open(path() + "/events.db", {});
  ASSERT_FALSE(opened.is_ok());
  EXPECT_EQ(opened.status().code(), Code::kIo);
  EXPECT_THAT(opened.status().message(), HasSubstr(path()));
}

}  // namespace
}  // namespace postern::store::sqlite
