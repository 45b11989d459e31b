// From a request on a socket to its acknowledgement, with the test in the store's and the dispatcher's place.
#include "core/ingest/ingest.h"

#include "tests/unit/ingest/ingest_harness.h"

namespace postern::ingest {
namespace {

using testing::Client;
using testing::expression;
using testing::kWindowMs;
using ::testing::HasSubstr;
using ::testing::Not;
using std::chrono::seconds;

class IngestTest : public testing::IngestHarness {
 protected:
  IngestTest() {
    add("/signed", [this](Route& r) { r.schemes.push_back({scheme_, expression("json:/id")}); });
    add("/forbidding", [this](Route& r) {
      r.schemes.push_back({scheme_, expression("json:/id")});
      r.reject_status = 403;
    });
    add("/strict", [](Route& r) { r.required.push_back(expression("json:/data/needed")); });
    add("/inside", [](Route& r) { r.rules.allow = std::move(*admission::AddressList::parse({"10.0.0.0/8"})); });
    add("/rated", [](Route& r) { r.rules.rate = std::make_shared<admission::TokenBucket>(0.001); });
    add("/json", [](Route& r) { r.rules.content_types = {"application/json"}; });
  }
};

// ---- refusals

TEST_F(IngestTest, RefusesAPathThatNoRouteTakes) { EXPECT_EQ(refusal("/nothing").status, 404); }

TEST_F(IngestTest, RefusesAMalformedPath) { EXPECT_EQ(refusal("/hook/..%2fhook").status, 400); }

TEST_F(IngestTest, TellsWhichMethodsAPathTakes) {
  client_->send(request("/hook", "", "", "PUT"));
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 405);
  EXPECT_TRUE(answer.has("Allow: POST\r\n")) << answer.head;
}

TEST_F(IngestTest, RefusesAnAddressThatIsNotAllowed) { EXPECT_EQ(refusal("/inside").status, 403); }

TEST_F(IngestTest, RefusesWhatIsPastTheRate) {
  post("/rated");
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
  Client::Answer answer = refusal("/rated");
  EXPECT_EQ(answer.status, 429);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
}

TEST_F(IngestTest, RefusesOtherContentTypes) {
  EXPECT_EQ(refusal("/json", "{}", "Content-Type: text/plain\r\n").status, 415);
}

TEST_F(IngestTest, RefusesEncodedBodies) {
  EXPECT_EQ(refusal("/hook", "{}", "Content-Encoding: gzip\r\n").status, 415);
}

TEST_F(IngestTest, RefusesABodyPastTheRoutesBound) { EXPECT_EQ(refusal("/hook", std::string(1001, ' ')).status, 413); }

TEST_F(IngestTest, RefusesWithoutASignature) { EXPECT_EQ(refusal("/signed").status, 401); }

TEST_F(IngestTest, RefusesAForgedSignature) {
  Client::Answer answer = refusal("/signed", "{}", "X-Signature: sha256=" + std::string(64, '0') + "\r\n");
  EXPECT_EQ(answer.status, 401);
  // Neither which check failed nor what was shown.
  EXPECT_EQ(answer.body, R"({"error":"the signature is not valid"})");
}

TEST_F(IngestTest, AnswersAllSignatureFaultsAlike) {
  std::string missing = refusal("/signed").body;
  EXPECT_EQ(refusal("/signed", "{}", "X-Signature: nonsense\r\n").body, missing);
  std::string twice = "X-Signature: sha256=" + std::string(64, '0') + "\r\n";
  EXPECT_EQ(refusal("/signed", "{}", twice + twice).body, missing);
}

TEST_F(IngestTest, RefusesASignatureOverAnotherBody) {
  std::string header = signed_header(R"({"id":"EV1","type":"thing.made"})");
  EXPECT_EQ(refusal("/signed", R"({"id":"EV2","type":"thing.made"})", header).status, 401);
}

TEST_F(IngestTest, RefusesWithTheStatusOfTheRoute) { EXPECT_EQ(refusal("/forbidding").status, 403); }

TEST_F(IngestTest, TakesWhatIsSigned) {
  const std::string body = R"({"id":"EV1","type":"thing.made"})";
  post("/signed", body, signed_header(body));
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
}

TEST_F(IngestTest, RefusesWhatIsNotJson) {
  Client::Answer answer = refusal("/hook", R"({"id": <script>)");
  EXPECT_EQ(answer.status, 422);
  EXPECT_THAT(answer.body, Not(HasSubstr("script")));
}

TEST_F(IngestTest, RefusesWithoutARequiredField) {
  EXPECT_EQ(refusal("/strict", R"({"id":"EV1","type":"thing.made","data":{}})").status, 422);
}

// A forged request must not learn what the route needs of a body.
TEST_F(IngestTest, VerifiesBeforeItLooksAtTheBody) { EXPECT_EQ(refusal("/signed", "not json").status, 401); }

TEST_F(IngestTest, IsUnavailableWhileItDrains) {
  on_loop([this] { ingest_->start_draining(); });
  Client::Answer answer = refusal("/hook");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
}

TEST_F(IngestTest, AcknowledgesWhatCameBeforeTheDrain) {
  post("/hook");
  auto events = sink_.take();
  on_loop([this] { ingest_->start_draining(); });
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().status, 200);
}

TEST_F(IngestTest, IsUnavailableWhileTheBacklogIsFull) {
  sink_.set_accepting({Code::kLimit, "backlog of /var/lib/store is full"});
  Client::Answer answer = refusal("/hook");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  EXPECT_THAT(answer.body, Not(HasSubstr("/var/lib"))) << "internals in an answer";
  sink_.set_accepting(Status::ok());
  client_ = connect_tcp();  // refused before its body, the first one was closed
  post("/hook");
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200) << "and takes events again afterwards";
}

// ---- what the store gets

TEST_F(IngestTest, HandsTheWholeEventToTheStore) {
  int64_t before = wall_ms();
  const std::string body = R"({"id":"EV1", "type":"thing.made"})";
  post("/hook?a=1", body, "X-Extra: one\r\n");
  auto events = sink_.take();
  const PendingEvent& pending = *events.at(0);
  EXPECT_EQ(pending.observer, ingest_.get());
  const NewEvent& event = pending.event;
  EXPECT_EQ(event.provider, "acme");
  EXPECT_EQ(event.type, "acme.thing.made");
  EXPECT_EQ(event.external_id, "EV1");
  EXPECT_EQ(event.method, "POST");
  EXPECT_EQ(event.target, "/hook?a=1");
  EXPECT_EQ(event.body, body);
  EXPECT_EQ(event.remote, "127.0.0.1");
  EXPECT_THAT(event.headers, HasSubstr("X-Extra: one\r\n"));
  EXPECT_GE(event.received_at, before);
  EXPECT_LE(event.received_at, wall_ms());
  EXPECT_EQ(event.dedupe_until, event.received_at + kWindowMs);
  EXPECT_EQ(event.depth, 0u);
  ASSERT_EQ(event.targets->size(), 1u);
  EXPECT_EQ(event.targets->at(0).subscriber, "handlers");
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().status, 200);
}

// ---- acknowledgements

TEST_F(IngestTest, SaysNothingBeforeTheCommit) {
  post("/hook");
  auto events = sink_.take();
  on_loop([] {});  // the turn in which it came is over
  EXPECT_FALSE(client_->readable_within(0)) << "an answer although nothing is durable";
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().status, 200);
}

TEST_F(IngestTest, AcknowledgesWhatIsStored) {
  post("/hook");
  commit(sink_.take(), Outcome::kStored, 7);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"queued","event_id":"evt_7"})");
}

TEST_F(IngestTest, AcknowledgesADuplicateWithTheFirstOnesId) {
  post("/hook");
  commit(sink_.take(), Outcome::kDuplicate, 3);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"duplicate_ignored","event_id":"evt_3"})");
}

TEST_F(IngestTest, AsksToTryAgainWhatCouldNotBeStored) {
  post("/hook");
  commit(sink_.take(), Outcome::kFailed);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
  EXPECT_THAT(answer.body, Not(HasSubstr("disk"))) << "internals in an answer";
  EXPECT_THAT(answer.body, Not(HasSubstr("evt_"))) << "an id of an event that is not there";
}

TEST_F(IngestTest, GivesEachClientOfABatchItsOwnAnswer) {
  auto other = connect_tcp();
  post("/hook", R"({"id":"A","type":"thing.made"})");
  auto first = sink_.take();
  other->send(request("/hook", R"({"id":"B","type":"thing.made"})"));
  auto batch = sink_.take();
  batch.push_back(std::move(first.at(0)));
  commit(std::move(batch), Outcome::kStored, 20);
  EXPECT_THAT(other->read_answer().body, HasSubstr("evt_20"));
  EXPECT_THAT(client_->read_answer().body, HasSubstr("evt_21"));
}

TEST_F(IngestTest, OutlivesAClientThatIsGone) {
  post("/hook");
  auto events = sink_.take();
  client_->reset();
  commit(std::move(events));
  EXPECT_TRUE(all_closed_within(seconds(10)));
  client_ = connect_tcp();
  post("/hook");
  commit(sink_.take(), Outcome::kStored, 2);
  EXPECT_EQ(client_->read_answer().status, 200);
}

}  // namespace
}  // namespace postern::ingest
