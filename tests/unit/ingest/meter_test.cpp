// What ingest counts: genuine requests by declared type, refusals by status and reason.
#include "core/ingest/meter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/unit/ingest/ingest_harness.h"

namespace postern::ingest::testing {
namespace {

class MeterTest : public IngestHarness {
 protected:
  MeterTest() {
    add("/signed", [this](Route& route) {
      route.schemes.push_back({scheme_, expression("json:/id")});
      route.reject_status = 403;
    });
    add("/json", [](Route& route) { route.rules.content_types = {"application/json"}; });
    add("/beta", [](Route& route) { route.provider = "beta"; });
  }

  uint64_t received(const std::string& provider, const std::string& type) {
    const TypeTable& types = targets_.types();
    for (const auto& source : ingest_->meter().sources()) {
      if (source->provider != provider) continue;
      for (TypeTable::Id id = 0; id < types.size(); ++id) {
        if (types.name(id) == type) return source->received[id].value();
      }
    }
    ADD_FAILURE() << "no series for " << provider << " " << type;
    return 0;
  }
  uint64_t refused(int status, Refusal reason) {
    const auto& statuses = Meter::kStatuses;
    auto found = std::find(statuses.begin(), statuses.end(), status) - statuses.begin();
    return ingest_->meter().refusals(static_cast<size_t>(found), reason);
  }
  uint64_t all_refused() {
    uint64_t all = 0;
    for (size_t s = 0; s < Meter::kStatuses.size(); ++s) {
      for (size_t r = 0; r < kRefusals; ++r) all += ingest_->meter().refusals(s, static_cast<Refusal>(r));
    }
    return all;
  }
  // A refusal ends its connection: each has one of its own.
  int status_of(const std::string& path, const std::string& body = "{}", const std::string& headers = "") {
    client_ = connect_tcp();
    return refusal(path, body, headers).status;
  }
  void send(const std::string& path, const std::string& type) {
    post(path, R"({"id":"1","type":")" + type + R"("})");
    commit(sink_.take(1));
    EXPECT_EQ(client_->read_answer().status, 200);
  }
};

TEST_F(MeterTest, CountsByTypeAndSource) {
  send("/hook", "thing.made");
  send("/hook", "thing.sold");
  send("/hook", "nobody.knows.this");
  send("/beta", "thing.made");
  EXPECT_EQ(received("acme", "acme.thing.*"), 2u);
  EXPECT_EQ(received("acme", "other"), 1u);
  EXPECT_EQ(received("beta", "other"), 1u) << "acme's types are not beta's";
  EXPECT_EQ(all_refused(), 0u);
}

TEST_F(MeterTest, CountsADuplicateAsReceived) {
  for (Outcome outcome : {Outcome::kStored, Outcome::kDuplicate}) {
    post("/hook");
    commit(sink_.take(1), outcome);
    EXPECT_EQ(client_->read_answer().status, 200);
  }
  EXPECT_EQ(received("acme", "acme.thing.*"), 2u);
}

TEST_F(MeterTest, CountsRefusalsByReason) {
  EXPECT_EQ(status_of("/nowhere"), 404);
  EXPECT_EQ(refused(404, Refusal::kNoRoute), 1u);
  EXPECT_EQ(status_of("/signed"), 403);
  EXPECT_EQ(refused(403, Refusal::kSignatureMissing), 1u) << "the route's own status";
  std::string wrong = "x-signature: sha256=" + std::string(64, '0') + "\r\n";
  EXPECT_EQ(status_of("/signed", "{}", wrong), 403);
  EXPECT_EQ(refused(403, Refusal::kSignatureWrong), 1u);
  EXPECT_EQ(status_of("/hook", "[]"), 422);
  EXPECT_EQ(status_of("/json"), 415);
  EXPECT_EQ(refused(415, Refusal::kContentType), 1u);
  EXPECT_EQ(refused(422, Refusal::kBody), 1u);
  EXPECT_EQ(all_refused(), 5u);
  EXPECT_EQ(received("acme", "acme.thing.*"), 0u) << "only genuine ones count";
}

TEST_F(MeterTest, CountsWhatCannotBeStored) {
  post("/hook");
  commit(sink_.take(1), Outcome::kFailed);
  EXPECT_EQ(client_->read_answer().status, 503);
  EXPECT_EQ(refused(503, Refusal::kNotStored), 1u);
  EXPECT_EQ(received("acme", "acme.thing.*"), 1u);
}

TEST(RefusalTest, EachHasANameOfItsOwn) {
  std::set<std::string> names;
  for (size_t r = 0; r < kRefusals; ++r) names.insert(to_text(static_cast<Refusal>(r)));
  EXPECT_EQ(names.size(), kRefusals);
}

TEST(RefusalTest, AnUnknownStatusIsCountedToo) {
  Meter meter;
  meter.refused(418, Refusal::kMalformed);
  EXPECT_EQ(meter.refusals(Meter::kStatuses.size() - 1, Refusal::kMalformed), 1u);
  meter.malformed(408);
  meter.malformed(413);
  meter.malformed(503);
  meter.malformed(431);
  auto at = [&](int status, Refusal reason) {
    auto found = std::find(Meter::kStatuses.begin(), Meter::kStatuses.end(), status) - Meter::kStatuses.begin();
    return meter.refusals(static_cast<size_t>(found), reason);
  };
  EXPECT_EQ(at(408, Refusal::kTooSlow), 1u);
  EXPECT_EQ(at(413, Refusal::kTooLarge), 1u);
  EXPECT_EQ(at(503, Refusal::kMemory), 1u);
  EXPECT_EQ(at(431, Refusal::kMalformed), 1u);
  meter.received("nobody", TypeTable::kOther);
  EXPECT_TRUE(meter.sources().empty());
}

}  // namespace
}  // namespace postern::ingest::testing
