// The store's file and who may have it: it goes away under the gateway, two gateways want it, it belongs to somebody
// else.
#include <gmock/gmock.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/integration/openphone_test.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;

constexpr milliseconds kSoon{15000};

// Acknowledging what lands in an unlinked file would lose it with the process.
TEST(StoreTest, AStoreThatWasRemovedTakesNothing) {
  Gateway gateway;
  std::string id = new_event_id();
  ASSERT_EQ(status_of(gateway.post_signed(id, message_body(id))), "queued");
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(gateway.store_path() + ending);

  id = new_event_id();
  const Response response = gateway.post_signed(id, message_body(id));
  EXPECT_EQ(response.status, 503) << response.body;
  EXPECT_TRUE(response.header("Retry-After"));
  const auto exit = gateway.process().wait(kSoon);
  ASSERT_TRUE(exit) << "it goes on without a store\n" << gateway.log();
  EXPECT_EQ(exit->code, 74) << gateway.log();
  EXPECT_THAT(gateway.log(), HasSubstr(gateway.store_path())) << "which file";
  EXPECT_THAT(gateway.log(), ::testing::ContainsRegex("removed|replaced|moved|gone|deleted")) << "and why";

  gateway.start();
  EXPECT_EQ(status_of(gateway.post_signed(id, message_body(id))), "queued") << "the provider's retry";
}

class SecondGatewayTest : public OpenphoneTest {
 protected:
  // `postern serve` beside the running one.
  Finished serve(const std::string& listen, const std::string& store) {
    const std::string file = gateway().folder() + "/second.yaml";
    std::ofstream(file, std::ios::trunc) << "gateway: {listen: [\"" << listen
                                         << "\"], public_url: \"https://hooks.postern.test\"}\n"
                                         << "admin: {socket: " << gateway().folder() << "/second.sock}\n"
                                         << "store: {kind: sqlite, path: " << store << "}\n";
    return run(postern_binary(), {"serve", "-c", file}, milliseconds(20000));
  }
  std::string own_store() { return gateway().folder() + "/second.db"; }

  void expect_first_unharmed() {
    const std::string id = new_event_id();
    EXPECT_EQ(status_of(gateway().post_signed(id, message_body(id))), "queued");
    EXPECT_EQ(gateway().command({"status"}).exit.code, 0);
  }
};

TEST_F(SecondGatewayTest, OnTheSameStore) {
  const Finished second = serve("127.0.0.1:0", gateway().store_path());
  EXPECT_EQ(second.exit.code, 75) << second.err;
  EXPECT_THAT(second.err, HasSubstr("another gateway uses the store " + gateway().store_path()));
  expect_first_unharmed();
}

TEST_F(SecondGatewayTest, OnTheSameStoreByAnotherName) {
  std::filesystem::create_symlink(gateway().store_path(), gateway().folder() + "/link.db");
  const Finished second = serve("127.0.0.1:0", gateway().folder() + "/link.db");
  EXPECT_EQ(second.exit.code, 75) << second.err;
  EXPECT_THAT(second.err, HasSubstr("another gateway uses the store"));
  expect_first_unharmed();
}

TEST_F(SecondGatewayTest, OnTheSamePort) {
  const std::string address = "127.0.0.1:" + std::to_string(gateway().port());
  const Finished second = serve(address, own_store());
  EXPECT_EQ(second.exit.code, 75) << second.err;
  EXPECT_THAT(second.err, HasSubstr(address));
  EXPECT_THAT(second.err, ::testing::ContainsRegex("in use|another")) << second.err;
  expect_first_unharmed();
}

TEST_F(SecondGatewayTest, OnAnotherProgramsDatabase) {
  const std::string path = gateway().folder() + "/foreign.db";
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (7);", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  const Finished second = serve("127.0.0.1:0", path);
  EXPECT_EQ(second.exit.code, 75) << second.err;
  EXPECT_THAT(second.err, HasSubstr("another program"));
  EXPECT_THAT(second.err, HasSubstr(path));
  const StoreReader theirs(path);
  EXPECT_EQ(theirs.number("SELECT a FROM theirs"), 7);
  EXPECT_EQ(theirs.number("SELECT count(*) FROM sqlite_master"), 1) << "it was written to";
}

TEST_F(SecondGatewayTest, OnAFileThatIsNoDatabase) {
  const std::string path = gateway().folder() + "/notes.db";
  const std::string notes(5000, 'n');
  std::ofstream(path) << notes;
  const Finished second = serve("127.0.0.1:0", path);
  EXPECT_EQ(second.exit.code, 75) << second.err;
  EXPECT_THAT(second.err, HasSubstr(path));
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), notes);
}

}  // namespace
}  // namespace postern::testing
