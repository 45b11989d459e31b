// Routes whose answer waits for the handler's result.
#include "tests/unit/ingest/ingest_harness.h"

namespace postern::ingest {
namespace {

using std::chrono::seconds;
using testing::Client;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int64_t kLongMs = 3'600'000;

class WaitingRouteTest : public testing::IngestHarness {
 protected:
  WaitingRouteTest() {
    add("/wait", [](Route& r) { r.wait_ms = kLongMs; });
    add("/hurry", [](Route& r) { r.wait_ms = 1; });
  }
};

TEST_F(WaitingRouteTest, AnswersWithTheHandlersResult) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  ASSERT_TRUE(board_.awaits(5)) << "asked for before anybody can have handled it";
  on_loop([] {});
  EXPECT_FALSE(client_->readable_within(0)) << "an answer before the handler's";
  board_.settle(5, R"({"call":"taken"})");
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"processed","event_id":"evt_5","result":{"call":"taken"}})");
}

TEST_F(WaitingRouteTest, AnswersNullWhereTheHandlerSetNoResult) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  board_.settle(5, "");
  EXPECT_EQ(client_->read_answer().body, R"({"status":"processed","event_id":"evt_5","result":null})");
}

TEST_F(WaitingRouteTest, IsQueuedWhereTheHandlerFailed) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  board_.settle(5, std::nullopt);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"queued","event_id":"evt_5"})");
}

TEST_F(WaitingRouteTest, IsQueuedWhenTheDeadlinePasses) {
  post("/hurry");
  commit(sink_.take(), Outcome::kStored, 5);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_THAT(board_.forgotten(), Contains(5));
}

TEST_F(WaitingRouteTest, DropsAResultThatComesTooLate) {
  post("/hurry");
  commit(sink_.take(), Outcome::kStored, 5);
  EXPECT_THAT(client_->read_answer().body, HasSubstr("queued"));
  board_.settle(5, R"({"late":true})");
  post("/hook", R"({"id":"EV2","type":"thing.made"})");
  commit(sink_.take(), Outcome::kStored, 6);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_6"})") << "not the answer to another request";
}

TEST_F(WaitingRouteTest, DoesNotWaitWhereNobodyHandlesTheEvent) {
  post("/wait", R"({"id":"EV1","type":"unheard.of"})");
  commit(sink_.take(), Outcome::kStored, 5);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_FALSE(board_.awaits(5));
}

TEST_F(WaitingRouteTest, DoesNotWaitForADuplicate) {
  post("/wait");
  commit(sink_.take(), Outcome::kDuplicate, 5);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"duplicate_ignored","event_id":"evt_5"})");
  EXPECT_FALSE(board_.awaits(5));
}

TEST_F(WaitingRouteTest, DoesNotWaitForWhatFailed) {
  post("/wait");
  commit(sink_.take(), Outcome::kFailed, 5);
  EXPECT_EQ(client_->read_answer().status, 503);
  EXPECT_FALSE(board_.awaits(5));
}

TEST_F(WaitingRouteTest, KeepsTheResultsOfTwoThatWaitApart) {
  auto other = connect_tcp();
  post("/wait", R"({"id":"A","type":"thing.made"})");
  commit(sink_.take(), Outcome::kStored, 1);
  other->send(request("/wait", R"({"id":"B","type":"thing.made"})"));
  commit(sink_.take(), Outcome::kStored, 2);
  board_.settle(2, "\"second\"");
  board_.settle(1, "\"first\"");
  EXPECT_THAT(client_->read_answer().body, HasSubstr("\"first\""));
  EXPECT_THAT(other->read_answer().body, HasSubstr("\"second\""));
}

TEST_F(WaitingRouteTest, LetsNobodyWaitOnceItDrains) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  on_loop([this] { ingest_->start_draining(); });
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_THAT(board_.forgotten(), Contains(5));
}

TEST_F(WaitingRouteTest, DoesNotBeginToWaitWhileItDrains) {
  post("/wait");
  auto events = sink_.take();
  on_loop([this] { ingest_->start_draining(); });
  commit(std::move(events), Outcome::kStored, 5);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_THAT(board_.forgotten(), ::testing::Contains(5));
}

TEST_F(WaitingRouteTest, OutlivesAClientThatWentWhileItWaited) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  client_->reset();
  board_.settle(5, "{}");
  EXPECT_TRUE(all_closed_within(seconds(10)));
}

}  // namespace
}  // namespace postern::ingest
