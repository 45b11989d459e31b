// From a request on a socket to its acknowledgement, with the test in the store's and the dispatcher's place.
#include "core/ingest/ingest.h"

#include <gmock/gmock.h>

#include "core/signature/described_scheme.h"

#include <condition_variable>
#include <map>
#include <stdexcept>

#include "core/base/clock.h"
#include "tests/unit/http/connection_harness.h"

namespace postern::ingest {
namespace {

using http::testing::Client;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using std::chrono::seconds;

constexpr int64_t kWindowMs = 60'000;
constexpr int64_t kLongMs = 3'600'000;

Expression expression(std::string_view text) {
  auto parsed = Expression::parse(text);
  if (!parsed) throw std::runtime_error(parsed.status().message());
  return *parsed;
}

// Keeps what is submitted until the test says what became of it. Thread-safety: any thread.
class FakeSink final : public EventSink {
 public:
  void submit(std::unique_ptr<PendingEvent> event) override {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  Status accepting() const override {
    std::lock_guard lock(mutex_);
    return accepting_;
  }
  void set_accepting(Status status) {
    std::lock_guard lock(mutex_);
    accepting_ = std::move(status);
  }
  // The next `count` events, in the order in which they came.
  std::vector<std::unique_ptr<PendingEvent>> take(size_t count = 1) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, seconds(10), [&] { return events_.size() >= count; }))
      throw std::runtime_error("no event came");
    return std::exchange(events_, {});
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return events_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<PendingEvent>> events_;
  Status accepting_;
};

// Thread-safety: any thread.
class FakeBoard final : public ResultBoard {
 public:
  void await(int64_t event_seq, OnSettled on_settled) override {
    std::lock_guard lock(mutex_);
    awaited_[event_seq] = std::move(on_settled);
  }
  void forget(int64_t event_seq) override {
    std::lock_guard lock(mutex_);
    forgotten_.push_back(event_seq);
  }
  bool awaits(int64_t event_seq) {
    std::lock_guard lock(mutex_);
    return awaited_.contains(event_seq);
  }
  void settle(int64_t event_seq, std::optional<std::string> result) {
    OnSettled told;
    {
      std::lock_guard lock(mutex_);
      told = awaited_.at(event_seq);
    }
    told(std::move(result));
  }
  std::vector<int64_t> forgotten() {
    std::lock_guard lock(mutex_);
    return forgotten_;
  }

 private:
  std::mutex mutex_;
  std::map<int64_t, OnSettled> awaited_;
  std::vector<int64_t> forgotten_;
};

signature::SchemeDescription scheme_description() {
  signature::SchemeDescription d;
  d.name = "plain";
  d.header = "x-signature";
  d.format = "sha256={signature}";
  d.secrets = {"one secret"};
  return d;
}

class IngestTest : public http::testing::ConnectionTest {
 protected:
  IngestTest() {
    auto compiled = signature::DescribedScheme::compile(scheme_description());
    if (!compiled) throw std::runtime_error(compiled.status().message());
    scheme_ = std::make_shared<const signature::DescribedScheme>(std::move(*compiled));
    add("/hook", [](Route&) {});
    add("/signed", [this](Route& r) { r.schemes.push_back({scheme_, expression("json:/id")}); });
    add("/forbidding", [this](Route& r) {
      r.schemes.push_back({scheme_, expression("json:/id")});
      r.reject_status = 403;
    });
    add("/strict", [](Route& r) { r.required.push_back(expression("json:/data/needed")); });
    add("/inside", [](Route& r) { r.rules.allow = std::move(*admission::AddressList::parse({"10.0.0.0/8"})); });
    add("/rated", [](Route& r) { r.rules.rate = std::make_shared<admission::TokenBucket>(0.001); });
    add("/json", [](Route& r) { r.rules.content_types = {"application/json"}; });
    add("/wait", [](Route& r) { r.wait_ms = kLongMs; });
    add("/hurry", [](Route& r) { r.wait_ms = 1; });
    targets_.add_handlers("acme", "handlers", {"thing.*"});
  }
  void SetUp() override {
    ConnectionTest::SetUp();
    ingest_ = std::make_unique<Ingest>(loop_, Ingest::Parts{routes_, targets_, sink_, board_, kWindowMs, urls_});
    on_loop([this] {
      service_.head = [this](http::Exchange& e, const http::Request& head) { return ingest_->on_head(e, head); };
      service_.request = [this](std::shared_ptr<http::Exchange> e) { ingest_->on_request(std::move(e)); };
    });
    client_ = connect_tcp();
  }

  static std::string request(const std::string& path, const std::string& body, const std::string& headers = "",
                             const std::string& method = "POST") {
    return method + " " + path + " HTTP/1.1\r\nHost: gateway\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  void post(const std::string& path, const std::string& body = R"({"id":"EV1","type":"thing.made"})",
            const std::string& headers = "") {
    client_->send(request(path, body, headers));
  }
  // The answer to a request that never reaches the store.
  Client::Answer refusal(const std::string& path, const std::string& body = R"({"id":"EV1","type":"thing.made"})",
                         const std::string& headers = "") {
    post(path, body, headers);
    Client::Answer answer = client_->read_answer();
    EXPECT_EQ(sink_.size(), 0u) << path << " let an event through";
    return answer;
  }
  // The store's part: the events that wait became durable as this, numbered from `seq` on.
  void commit(std::vector<std::unique_ptr<PendingEvent>> events, Outcome outcome = Outcome::kStored, int64_t seq = 1) {
    for (auto& event : events) {
      event->outcome = outcome;
      event->seq = seq;
      event->event_id = "evt_" + std::to_string(seq++);
      if (outcome == Outcome::kFailed) event->status = {Code::kIo, "/var/lib/store: disk full"};
    }
    ingest_->on_committed(std::move(events));
  }
  std::string signed_header(const std::string& body) {
    auto headers = scheme_->sign("msg_1", body, wall_ms());
    return headers.at(0).first + ": " + headers.at(0).second + "\r\n";
  }

  RouteTable routes_;
  TargetTable targets_;
  FakeSink sink_;
  FakeBoard board_;
  admission::UrlSource urls_;
  std::shared_ptr<const signature::DescribedScheme> scheme_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<Client> client_;

 private:
  void add(const std::string& path, const std::function<void(Route&)>& change) {
    Route route;
    route.provider = "acme";
    route.method = "POST";
    route.path = path;
    route.unsigned_id_from = expression("json:/id");
    route.type_from = expression("json:/type");
    route.max_body = 1000;
    change(route);
    if (Status s = routes_.add(std::move(route)); !s) throw std::runtime_error(s.message());
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

// ---- routes that wait for the handler

TEST_F(IngestTest, AnswersWithTheHandlersResult) {
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

TEST_F(IngestTest, AnswersNullWhereTheHandlerSetNoResult) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  board_.settle(5, "");
  EXPECT_EQ(client_->read_answer().body, R"({"status":"processed","event_id":"evt_5","result":null})");
}

TEST_F(IngestTest, IsQueuedWhereTheHandlerFailed) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  board_.settle(5, std::nullopt);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"queued","event_id":"evt_5"})");
}

TEST_F(IngestTest, IsQueuedWhenTheDeadlinePasses) {
  post("/hurry");
  commit(sink_.take(), Outcome::kStored, 5);
  Client::Answer answer = client_->read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_THAT(board_.forgotten(), Contains(5));
}

TEST_F(IngestTest, DropsAResultThatComesTooLate) {
  post("/hurry");
  commit(sink_.take(), Outcome::kStored, 5);
  EXPECT_THAT(client_->read_answer().body, HasSubstr("queued"));
  board_.settle(5, R"({"late":true})");
  post("/hook", R"({"id":"EV2","type":"thing.made"})");
  commit(sink_.take(), Outcome::kStored, 6);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_6"})")
      << "not the answer to another request";
}

TEST_F(IngestTest, DoesNotWaitWhereNobodyHandlesTheEvent) {
  post("/wait", R"({"id":"EV1","type":"unheard.of"})");
  commit(sink_.take(), Outcome::kStored, 5);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_FALSE(board_.awaits(5));
}

TEST_F(IngestTest, DoesNotWaitForADuplicate) {
  post("/wait");
  commit(sink_.take(), Outcome::kDuplicate, 5);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"duplicate_ignored","event_id":"evt_5"})");
  EXPECT_FALSE(board_.awaits(5));
}

TEST_F(IngestTest, DoesNotWaitForWhatFailed) {
  post("/wait");
  commit(sink_.take(), Outcome::kFailed, 5);
  EXPECT_EQ(client_->read_answer().status, 503);
  EXPECT_FALSE(board_.awaits(5));
}

TEST_F(IngestTest, KeepsTheResultsOfTwoThatWaitApart) {
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

TEST_F(IngestTest, LetsNobodyWaitOnceItDrains) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  on_loop([this] { ingest_->start_draining(); });
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_THAT(board_.forgotten(), Contains(5));
}

TEST_F(IngestTest, DoesNotBeginToWaitWhileItDrains) {
  post("/wait");
  auto events = sink_.take();
  on_loop([this] { ingest_->start_draining(); });
  commit(std::move(events), Outcome::kStored, 5);
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_5"})");
  EXPECT_THAT(board_.forgotten(), ::testing::Contains(5));
}

TEST_F(IngestTest, OutlivesAClientThatWentWhileItWaited) {
  post("/wait");
  commit(sink_.take(), Outcome::kStored, 5);
  client_->reset();
  board_.settle(5, "{}");
  EXPECT_TRUE(all_closed_within(seconds(10)));
}

}  // namespace
}  // namespace postern::ingest
