// What people may have done by the admin API, and what is refused before anything is done.
#include "core/admin/upkeep_api.h"

#include <gmock/gmock.h>

#include "core/base/ids.h"
#include "tests/unit/admin/archive.h"

namespace postern::admin {
namespace {

using nlohmann::json;
using store::testing::new_event;
using ::testing::HasSubstr;
using Kind = store::Settlement::Kind;

class UpkeepApiTest : public ::testing::Test {
 protected:
  int64_t put(uint64_t number, Kind kind) {
    int64_t delivery = 0;
    id_ = archive_.put_delivery(number, delivery);
    archive_.settle(delivery, kind);
    return delivery;
  }
  json done(const Result<json>& answer) {
    EXPECT_TRUE(answer.is_ok()) << answer.status().message();
    return answer ? *answer : json();
  }
  size_t jobs() { return archive_.store_upkeep().jobs(false)->size(); }

  testing::Archive archive_;
  UpkeepApi& api_ = archive_.upkeep();
  std::string id_;  // of the last event
};

TEST_F(UpkeepApiTest, RefusesWhatItDoesNotUnderstand) {
  put(1, Kind::kDead);
  for (const char* body : {"", "[]", "null", "1", "{", R"({"al": true})", R"({"all": 1})", R"({"all": "true"})", R"({"plugin": 7})",
                           R"({"all": true, "rate": 0})", R"({"all": true, "rate": 100001})", R"({"all": true, "rate": 1.5})",
                           R"({"since": "2h"})", R"({"since": -1})", R"({"until": 99999999999999999999})", R"({"ids": []})",
                           R"({"ids": 1})", R"({"ids": {}})", R"({"ids": [1], "all": true})", R"({"ids": [1], "plugin": "acme"})", "{}",
                           R"({"all": false})", R"({"all": true, "limit": 5})"}) {
    for (auto answer : {api_.replay_dead(body), api_.drop_dead(body), api_.replay_events(body)}) {
      EXPECT_EQ(answer.status().code(), Code::kInvalid) << body;
    }
  }
  EXPECT_EQ(api_.replay_dead(json{{"plugin", std::string(1001, 'x')}}.dump()).status().code(), Code::kInvalid);
  EXPECT_EQ(api_.replay_dead(json{{"ids", std::vector<int>(1001, 1)}}.dump()).status().code(), Code::kInvalid);
  EXPECT_EQ(api_.replay_dead(std::string(30'000, '[')).status().code(), Code::kInvalid);
  EXPECT_EQ(jobs(), 0u);
  EXPECT_EQ(archive_.jobs_begun, 0u);
}

TEST_F(UpkeepApiTest, BeginsAJobForAFilter) {
  put(1, Kind::kDead);
  json answer = done(api_.replay_dead(R"({"plugin": "acme", "type": "acme.*", "since": 1, "rate": 7})"));
  EXPECT_EQ(answer["job"]["kind"], "replay");
  EXPECT_EQ(answer["job"]["state"], "running");
  EXPECT_EQ(answer["job"]["plugin"], "acme");
  EXPECT_EQ(answer["job"]["rate"], 7);
  EXPECT_TRUE(answer["job"]["total"].is_null());
  EXPECT_EQ(archive_.jobs_begun, 1u);
  std::string id = answer["job"]["id"].dump();
  EXPECT_EQ(done(api_.job(id))["type"], "acme.*");
  EXPECT_EQ(done(api_.jobs(true)).size(), 1u);
  EXPECT_EQ(done(api_.cancel(id))["state"], "cancelled");
  EXPECT_TRUE(done(api_.jobs(true)).empty());
}

TEST_F(UpkeepApiTest, NamesWhatCannotBe) {
  int64_t dead = put(1, Kind::kDead), finished = put(2, Kind::kDone), queued = 0;
  std::string done_id = id_, queued_id = archive_.put_delivery(3, queued);
  json answer = done(api_.replay_dead(json{{"ids", {dead, finished, queued, 4711, -1, "x", nullptr}}}.dump()));
  EXPECT_EQ(answer["job"]["total"], 1);
  ASSERT_EQ(answer["refused"].size(), 6u);
  EXPECT_THAT(answer["refused"][0]["error"], HasSubstr("events replay " + done_id));
  EXPECT_THAT(answer["refused"][1]["error"], HasSubstr("queued or running"));
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(answer["refused"][i]["error"], "no delivery has this number");

  json none = done(api_.drop_dead(json{{"ids", {queued}}}.dump()));
  EXPECT_TRUE(none["job"].is_null());
  EXPECT_EQ(jobs(), 1u);

  std::string nobodys = archive_.put(new_event(4));
  json events = done(api_.replay_events(json{{"ids", {done_id, queued_id, nobodys, "evt_00000000000000000000000000", 1}}}.dump()));
  EXPECT_EQ(events["job"]["total"], 2) << "by id and by number";
  ASSERT_EQ(events["refused"].size(), 3u);
  EXPECT_THAT(events["refused"][0]["error"], HasSubstr("queued or running"));
  EXPECT_EQ(events["refused"][1]["error"], "nobody handles this event");
  EXPECT_EQ(events["refused"][2]["error"], "no event has this id");
}

TEST_F(UpkeepApiTest, DoesNotReplayForNobody) {
  ingest::NewEvent event = new_event(1, {{"acme", "gone"}});
  archive_.put(event);
  archive_.settle(1, Kind::kDead);
  json answer = done(api_.replay_dead(R"({"ids": [1]})"));
  EXPECT_TRUE(answer["job"].is_null());
  EXPECT_THAT(answer["refused"][0]["error"], HasSubstr("acme/gone"));
  EXPECT_FALSE(done(api_.drop_dead(R"({"ids": [1]})"))["job"].is_null()) << "but it can be dropped";
}

TEST_F(UpkeepApiTest, FindsByPages) {
  for (uint64_t n = 1; n <= 5; ++n) put(n, Kind::kDead);
  put(6, Kind::kDone);
  json first = done(api_.find(false, R"({"limit": 2, "newest_first": true})"));
  ASSERT_EQ(first["deliveries"].size(), 2u);
  EXPECT_EQ(first["deliveries"][0]["seq"], 5);
  json second = done(api_.find(false, json{{"limit", 10}, {"newest_first", true}, {"after", first["next"]}}.dump()));
  EXPECT_EQ(second["deliveries"].size(), 3u);
  EXPECT_TRUE(second["next"].is_null());
  json counted = done(api_.find(true, R"({"limit": 1, "count": true})"));
  EXPECT_EQ(counted["matched"], 6);
  EXPECT_EQ(counted["deliveries"].size(), 1u);
  for (const char* body : {R"({"limit": -1})", R"({"limit": 10001})", R"({"limit": 0})", R"({"ids": [1]})", ""}) {
    EXPECT_EQ(api_.find(false, body).status().code(), Code::kInvalid) << body;
  }
}

TEST_F(UpkeepApiTest, CountsWhatWouldBeRemoved) {
  ingest::NewEvent old = new_event(1);
  old.received_at = 1000;
  old.dedupe_until = 0;
  archive_.put(old);
  archive_.put(new_event(2));
  EXPECT_EQ(done(api_.prune(R"({"dry_run": true})"))["events"], 1) << "older than the configuration says";
  EXPECT_EQ(done(api_.prune(R"({"dry_run": true, "older_than": 3000000000000})"))["events"], 0);
  EXPECT_EQ(archive_.one("SELECT count(*) FROM event"), "2");
  EXPECT_EQ(jobs(), 0u);
  EXPECT_EQ(done(api_.prune("{}"))["job"]["kind"], "prune");
  for (const char* body : {"", R"({"older_than": -1})", R"({"older_than": "7d"})", R"({"all": true})"}) {
    EXPECT_EQ(api_.prune(body).status().code(), Code::kInvalid) << body;
  }
}

TEST_F(UpkeepApiTest, KnowsItsJobsOnly) {
  for (const char* id : {"", "0", "1", "-1", "x", "1x", "99999999999999999999"}) {
    EXPECT_EQ(api_.job(id).status().code(), Code::kNotFound) << id;
    EXPECT_EQ(api_.cancel(id).status().code(), Code::kNotFound) << id;
  }
}

}  // namespace
}  // namespace postern::admin
