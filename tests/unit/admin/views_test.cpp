#include "core/admin/views.h"

#include <gmock/gmock.h>

#include "core/base/ids.h"
#include "tests/unit/admin/archive.h"

namespace postern::admin {
namespace {

using nlohmann::json;
using store::testing::new_event;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = store::Settlement::Kind;

class ViewsTest : public ::testing::Test {
 protected:
  json event(const std::string& id) {
    auto shown = archive_.views().event(id);
    if (!shown) throw std::runtime_error(shown.status().message());
    return *shown;
  }
  Code fault(const std::string& id) { return archive_.views().event(id).status().code(); }
  std::vector<std::string> listed(const store::EventFilter& filter) {
    auto shown = archive_.views().events(filter);
    if (!shown) throw std::runtime_error(shown.status().message());
    std::vector<std::string> ids;
    for (const json& e : *shown) ids.push_back(e.at("external_id"));
    return ids;
  }

  testing::Archive archive_;
};

TEST_F(ViewsTest, ShowsAnEventWhole) {
  ingest::NewEvent put = new_event(1);
  put.body = R"({"a": 1})";
  put.order_key = "call 7";
  std::string id = archive_.put(put);
  json shown = event(id);
  EXPECT_EQ(shown["id"], id);
  EXPECT_EQ(shown["event_id"], id);
  EXPECT_EQ(shown["provider"], "acme");
  EXPECT_EQ(shown["type"], "acme.thing.made");
  EXPECT_EQ(shown["external_id"], "EV1");
  EXPECT_EQ(shown["order_key"], "call 7");
  EXPECT_EQ(shown["received_at"], put.received_at);
  EXPECT_EQ(shown["method"], "POST");
  EXPECT_EQ(shown["target"], "/hook");
  EXPECT_EQ(shown["remote"], "127.0.0.1");
  EXPECT_EQ(shown["body"], put.body);
  EXPECT_EQ(shown["headers"], "Host: gateway\r\n");
  EXPECT_EQ(shown["state"], "none");
  EXPECT_EQ(shown["deliveries"], json::array());
}

// Who reads a ticket must not be able to send as the provider.
TEST_F(ViewsTest, HidesHeadersThatProveWhoSent) {
  ingest::NewEvent put = new_event(1);
  put.headers =
      "Host: gateway\r\nX-Acme-Signature: t=1,v1=5ec\r\nx-acme-SIGNATURE-256: 5ec\r\nX-Auth-Token: 5ec\r\n"
      "X-Shared-Secret: 5ec\r\nX-Api-Key: 5ec\r\nContent-Type: application/json\r\n";
  std::string headers = event(archive_.put(put))["headers"];
  EXPECT_EQ(
      headers,
      "Host: gateway\r\nX-Acme-Signature: (hidden)\r\nx-acme-SIGNATURE-256: (hidden)\r\nX-Auth-Token: (hidden)\r\n"
      "X-Shared-Secret: (hidden)\r\nX-Api-Key: (hidden)\r\nContent-Type: application/json\r\n");
}

TEST_F(ViewsTest, ShowsHeadersThatOnlySpeakOfSignatures) {
  ingest::NewEvent put = new_event(1);
  put.headers = "X-Note: the signature is a token\r\n";
  EXPECT_EQ(event(archive_.put(put))["headers"], put.headers);
}

TEST_F(ViewsTest, ReadsHeadersWithoutALastLineEnd) {
  ingest::NewEvent put = new_event(1);
  put.headers = "A: 1\r\nX-Signature: 5ec";
  EXPECT_EQ(event(archive_.put(put))["headers"], "A: 1\r\nX-Signature: (hidden)\r\n");
}

TEST_F(ViewsTest, KnowsNoEventByAnotherId) {
  std::string id = archive_.put(new_event(1));
  ASSERT_EQ(fault(id), Code::kOk);
  for (const std::string& other :
       {std::string(), std::string("evt_"), id.substr(0, id.size() - 1), id + "0", id + std::string(1, '\0'),
        "EVT" + id.substr(3), std::string(30, '\xff'), "evt_" + std::string(26, '\xc3'), "evt_" + std::string(26, '\0'),
        std::string("' OR 1=1 --"), std::string(100'000, 'e')}) {
    EXPECT_EQ(fault(other), Code::kNotFound) << other.substr(0, 40);
  }
}

// An id leads to its row through the seq inside: the rest of it must be right all the same.
TEST_F(ViewsTest, KnowsNoEventByItsSeqAlone) {
  std::string id = archive_.put(new_event(1));
  std::string guessed = make_event_id(1, *seq_of_event_id(id));
  ASSERT_NE(guessed, id);
  EXPECT_EQ(fault(guessed), Code::kNotFound);
}

TEST_F(ViewsTest, ListsTheNewestFirst) {
  for (uint64_t n = 1; n <= 3; ++n) archive_.put(new_event(n));
  EXPECT_THAT(listed({}), ::testing::ElementsAre("EV3", "EV2", "EV1"));
}

TEST_F(ViewsTest, ListsPageByPage) {
  int64_t second = 0;
  archive_.put(new_event(1));
  second = *seq_of_event_id(archive_.put(new_event(2)));
  archive_.put(new_event(3));
  store::EventFilter filter;
  filter.before_seq = second;
  EXPECT_THAT(listed(filter), ::testing::ElementsAre("EV1"));
  filter.before_seq = 0;
  filter.limit = 2;
  EXPECT_THAT(listed(filter), ::testing::ElementsAre("EV3", "EV2"));
}

TEST_F(ViewsTest, ListsByType) {
  archive_.put(new_event(1));
  ingest::NewEvent other = new_event(2);
  other.type = "acme.thing.lost";
  archive_.put(other);
  store::EventFilter filter;
  filter.type = "*.lost";
  EXPECT_THAT(listed(filter), ::testing::ElementsAre("EV2"));
}

TEST_F(ViewsTest, ListsWithoutContent) {
  archive_.put(new_event(1));
  json list = *archive_.views().events({});
  EXPECT_FALSE(list[0].contains("body"));
  EXPECT_FALSE(list[0].contains("headers"));
}

TEST_F(ViewsTest, ShowsDeliveriesWithTheirFailedAttempts) {
  int64_t delivery = 0;
  std::string id = archive_.put_delivery(1, delivery);
  EXPECT_EQ(event(id)["state"], "queued");
  archive_.settle(delivery, Kind::kRetry, 1);
  archive_.settle(delivery, Kind::kDone, 2);
  json shown = event(id);
  EXPECT_EQ(shown["state"], "done");
  ASSERT_EQ(shown["deliveries"].size(), 1u);
  const json& d = shown["deliveries"][0];
  EXPECT_EQ(d["seq"], delivery);
  EXPECT_EQ(d["event_id"], id);
  EXPECT_EQ(d["plugin"], "acme");
  EXPECT_EQ(d["subscriber"], "handlers");
  EXPECT_EQ(d["state"], "done");
  EXPECT_EQ(d["attempts"], 2);
  EXPECT_TRUE(d["settled_at"].is_number());
  ASSERT_EQ(d["failed_attempts"].size(), 1u);
  EXPECT_EQ(d["failed_attempts"][0]["n"], 1);
  EXPECT_EQ(d["failed_attempts"][0]["outcome"], "retry");
  EXPECT_EQ(d["failed_attempts"][0]["detail"], "attempt 1");
}

TEST_F(ViewsTest, ShowsNullWhereNothingHappenedYet) {
  int64_t delivery = 0;
  json d = event(archive_.put_delivery(1, delivery))["deliveries"][0];
  EXPECT_TRUE(d["settled_at"].is_null());
  EXPECT_TRUE(d["last_error"].is_null());
  EXPECT_EQ(d["failed_attempts"], json::array());
}

TEST_F(ViewsTest, ShowsAllDeliveriesOfAnEvent) {
  std::vector<ingest::Target> to;
  for (int i = 0; i < 60; ++i) to.push_back({"acme", "subscription-" + std::to_string(i)});
  EXPECT_EQ(event(archive_.put(new_event(1, to)))["deliveries"].size(), 60u);
}

TEST_F(ViewsTest, ListsWhatIsDead) {
  int64_t dead = 0, done = 0, open = 0;
  archive_.put_delivery(1, dead);
  archive_.put_delivery(2, done);
  archive_.put_delivery(3, open);
  archive_.settle(dead, Kind::kDead);
  archive_.settle(done, Kind::kDone);
  json list = *archive_.views().dead(0, 50);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["seq"], dead);
  EXPECT_EQ(list[0]["state"], "dead");
  EXPECT_FALSE(list[0]["last_error"].is_null());
  EXPECT_EQ(archive_.views().dead(dead, 50)->size(), 0u) << "nothing is older";
}

TEST_F(ViewsTest, ShowsADeadDeliveryWithItsEvent) {
  int64_t dead = 0;
  std::string id = archive_.put_delivery(1, dead);
  archive_.settle(dead, Kind::kDead);
  auto shown = archive_.views().dead_one(dead);
  ASSERT_TRUE(shown) << shown.status().message();
  EXPECT_EQ((*shown)["seq"], dead);
  EXPECT_EQ((*shown)["failed_attempts"].size(), 1u);
  EXPECT_EQ((*shown)["of"]["id"], id);
  EXPECT_EQ((*shown)["of"]["body"], "{}");
  EXPECT_FALSE((*shown)["of"].contains("deliveries"));
}

TEST_F(ViewsTest, ShowsOnlyTheDeadAsDead) {
  int64_t open = 0;
  archive_.put_delivery(1, open);
  for (int64_t number : {open, int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    EXPECT_EQ(archive_.views().dead_one(number).status().code(), Code::kNotFound) << number;
  }
}

TEST_F(ViewsTest, CountsInTheStatus) {
  int64_t dead = 0, open = 0;
  archive_.put_delivery(1, dead);
  archive_.put_delivery(2, open);
  archive_.settle(dead, Kind::kDead);
  json status = archive_.views().status();
  EXPECT_EQ(status["version"], "1.2.3");
  EXPECT_EQ(status["accepting"], true);
  EXPECT_TRUE(status["reason"].is_null());
  EXPECT_EQ(status["store"]["events"], 2);
  EXPECT_EQ(status["store"]["queued"], 1);
  EXPECT_EQ(status["store"]["dead"], 1);
  ASSERT_EQ(status["dispatch"]["subscribers"].size(), 1u);
  const json& subscriber = status["dispatch"]["subscribers"][0];
  EXPECT_EQ(subscriber["plugin"], "acme");
  EXPECT_EQ(subscriber["subscriber"], "handlers");
  EXPECT_EQ(subscriber["breaker"], "closed");
  EXPECT_TRUE(subscriber["last_error"].is_null());
}

}  // namespace
}  // namespace postern::admin
