// Refusals over real sockets: what a client reads of them, and what they hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/http/connection.h"
#include "tests/unit/http/connection_harness.h"

namespace postern::http::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Refusals = ConnectionTest;

TEST_F(Refusals, AreReadableAlthoughTheBodyWasNotRead) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{true, Response::error(403, "no"), 0}; }; });
  auto client = connect_tcp();
  const std::string body(16 << 20, 'x');
  EXPECT_EQ(client->send(post("/p", body)), post("/p", body).size()) << "the sender was cut off";
  client->half_close();
  Client::Answer answer = client->read_answer();
  EXPECT_EQ(answer.status, 403);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  bool orderly = false;
  EXPECT_EQ(client->read_all(&orderly), "");
  EXPECT_TRUE(orderly) << "a reset may eat the answer";
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
}

// Attack: heads in two parts that are refused without a body, again and again: what they took of the budget must come back.
TEST_F(Refusals, GiveBackWhatTheirHeadsTook) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{true, Response::error(404, "no"), 0}; }; });
  for (bool lingers : {false, true}) {
    auto client = connect();
    const std::string head = "GET /no HTTP/1.1\r\nHost: h\r\nX: " + std::string(30'000, 'x') + (lingers ? "\r\nContent-Length: 5" : "") + "\r\n";
    client->send(head);
    while (budget_used() < 30'000) std::this_thread::yield();
    client->send("\r\n");
    EXPECT_EQ(client->read_answer().status, 404);
    on_loop([] {});
    EXPECT_EQ(budget_used(), 0u) << "while the connection is open still";
  }
}

// What follows a refused head is its body: it must never be read as a request.
TEST_F(Refusals, DoNotTakeTheBodyForARequest) {
  int asked = 0;
  on_loop([&] {
    service_.head = [&](Exchange&, const Request&) {
      ++asked;
      return Service::Admission{true, Response::error(413, "large"), 0};
    };
  });
  auto client = connect();
  client->send(post("/p", get("/smuggled")));
  client->half_close();
  EXPECT_EQ(client->read_answer().status, 413);
  EXPECT_TRUE(client->at_end());
  on_loop([&] { EXPECT_EQ(asked, 1); });
}

// Attack: a refused sender that never stops sending.
TEST_F(Refusals, LingerOnlyForSoManyBytes) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{true, Response::error(403, "no"), 0}; }; });
  auto client = connect();
  client->send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n");
  const std::string block(1 << 20, 'x');
  size_t sent = 0;
  while (sent < (512u << 20)) {
    size_t n = client->send(block);
    sent += n;
    if (n < block.size()) break;
  }
  EXPECT_LT(sent, 80u << 20);
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
}

TEST_F(Refusals, OfABodyThatGrowsTooLarge) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{false, {}, 10}; }; });
  auto client = connect();
  client->send("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\naaaaa\r\n");
  client->send("6\r\nbbbbbb\r\n0\r\n\r\n");
  client->half_close();
  EXPECT_EQ(client->read_answer().status, 413);
  EXPECT_TRUE(client->at_end());
  on_loop([&] { EXPECT_THAT(service_.malformed, ::testing::ElementsAre(413)); });
}

// Attack: many bodies held back before their end. Each is within its own limit; together they are not (the harness allows 2 MiB).
TEST_F(Refusals, OfWhatIsTooMuchInAll) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{false, {}, 1u << 20}; }; });
  const std::string head = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n";
  auto patient = connect(), other = connect(), late = connect();
  for (auto* client : {&patient, &other}) (*client)->send(head + std::string(599'999, 'b'));
  while (budget_used() < 1'199'998) std::this_thread::yield();
  late->send(head + std::string(599'999, 'b'));
  Client::Answer refusal = late->read_answer();
  EXPECT_EQ(refusal.status, 503);
  EXPECT_TRUE(refusal.has("Retry-After: "));
  late->close();
  patient->send("b");
  EXPECT_EQ(patient->read_answer().status, 200) << "whoever was there first goes on";
  for (auto* client : {&patient, &other}) (*client)->close();
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  EXPECT_EQ(budget_used(), 0u);
}

// A webhook of a few KiB has room beside them, and may come in parts.
TEST_F(Refusals, OfLargeBodiesLeaveRoomForSmallOnes) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{false, {}, 1u << 20}; }; });
  std::vector<std::unique_ptr<Client>> hogs;
  size_t held = 0;
  for (size_t bytes : {600'000, 600'000, 300'000, 150'000, 150'000, 75'000, 75'000, 37'000, 37'000}) {
    hogs.push_back(connect());
    hogs.back()->send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" + std::string(bytes - 1, 'b'));
    held += bytes - 1;
    while (budget_used() < held) std::this_thread::yield();
  }
  auto client = connect();
  client->send(post("/p", std::string(8'000, 'x')).substr(0, 7'000));
  client->send(post("/p", std::string(8'000, 'x')).substr(7'000));
  EXPECT_EQ(client->read_answer().status, 200);
}

// Attack: bytes behind a request that is being answered. They count, and where there is no room for them, the answer at hand is the last.
TEST_F(Refusals, OfWhatIsReadAheadOfTheAnswer) {
  keep_requests();
  auto client = connect();
  std::string behind;
  while (behind.size() < 30'000) behind += get("/next");
  client->send(get("/first") + behind);
  wait_for_request();
  while (budget_used() < behind.size()) std::this_thread::yield();
  const uint64_t taken = use_up_budget();
  client->send(behind);
  client->half_close();
  answer_kept(Response::json(200, "{}"));
  EXPECT_EQ(client->read_answer().status, 200);
  EXPECT_TRUE(client->at_end());
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  EXPECT_EQ(budget_used(), taken);
}

TEST_F(Refusals, OfWhatIsReadAheadOfItsTurn) {
  const uint64_t taken = use_up_budget();
  auto client = connect();
  std::string many;
  for (int i = 0; i < 100; ++i) many += get("/" + std::to_string(i));
  client->send(many);
  EXPECT_EQ(client->read_answer().status, 200);
  EXPECT_EQ(client->read_answer().status, 503);
  EXPECT_TRUE(client->at_end());
  client->close();
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  EXPECT_EQ(budget_used(), taken);
}

TEST_F(Refusals, KnowNothingOfEarlierRequests) {
  auto client = connect();
  client->send("HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  Client::Answer head = client->read_answer(true);
  EXPECT_THAT(head.request_id(), StartsWith("req_"));
  client->send("\x01 nonsense\r\n\r\n");
  client->half_close();
  Client::Answer refusal = client->read_answer();
  EXPECT_EQ(refusal.status, 400);
  EXPECT_THAT(refusal.body, HasSubstr("\"error\"")) << "it was taken for an answer to HEAD";
  EXPECT_NE(refusal.request_id(), head.request_id());
  EXPECT_TRUE(client->at_end());
}

TEST_F(Refusals, GiveEachRequestItsOwnId) {
  auto client = connect();
  client->send(get("/1") + get("/2"));
  std::string first = client->read_answer().request_id(), second = client->read_answer().request_id();
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace postern::http::testing
