// A plugin's own signature scheme over a socket: checked on a thread of the plugin, and the request comes back as it was.
#include <atomic>

#include "core/signature/function_scheme.h"
#include "tests/unit/ingest/gate.h"
#include "tests/unit/ingest/ingest_harness.h"

namespace postern::ingest {
namespace {

using signature::FunctionScheme;
using testing::Client;
using ::testing::ElementsAre;
using testing::expression;
using testing::Gate;
using ::testing::HasSubstr;

const std::string kBody = R"({"id":"EV1","type":"thing.made"})";
const std::string kSigned = "X-Odd: signature\r\n";

class FunctionSchemesTest : public testing::IngestHarness {
 protected:
  static constexpr int kThreads = 2, kWaiting = 2;
  using Verify = std::function<Status(const http::RequestView&)>;

  FunctionSchemesTest() {
    FunctionScheme::Functions functions;
    functions.verify = [this](const http::RequestView& view, int64_t now_ms, const FunctionScheme::Secrets& secrets,
                              signature::Explanation* e) {
      ++asked_;
      EXPECT_THAT(secrets, ElementsAre("one secret"));
      EXPECT_EQ(e, nullptr) << "nobody reads an explanation in service";
      EXPECT_NEAR(static_cast<double>(now_ms), static_cast<double>(wall_ms()), 60'000);
      return verify_(view);
    };
    auto made = FunctionScheme::make("odd", "x-odd", {"one secret"}, std::move(functions));
    if (!made) throw std::runtime_error(made.status().message());
    Route::SchemeUse odd{*made, expression("header:x-id|json:/id")};
    odd.verifying = pool_;
    auto add_odd = [&](const std::string& path, const std::function<void(Route&)>& change) {
      add(path, [&](Route& r) {
        r.schemes.push_back(odd);
        change(r);
      });
    };
    add_odd("/odd", [](Route&) {});
    add_odd("/odd/403", [](Route& r) { r.reject_status = 403; });
    add_odd("/odd/bytes", [](Route& r) {
      r.unsigned_id_from = expression("");  // nothing of it is JSON
      r.type_from = expression("const:bytes");
      r.max_body = 4 << 20;
      r.schemes[0].id_from = expression("header:x-id");
    });
    add_odd("/both", [this](Route& r) { r.schemes.push_back({scheme_, expression("json:/id")}); });
    add_odd("/odd/reply", [this](Route& r) {
      r.kind = Route::Kind::kReply;
      r.replying = pool_;
      r.reply = [](const std::shared_ptr<Reply>& reply) {
        static_cast<void>(reply->send(http::Response::json(200, std::string(reply->request().body) + "!")));
      };
    });
  }
  void TearDown() override {
    gate_.open();
    EXPECT_TRUE(pool_->stop(10'000));
    IngestHarness::TearDown();
  }
  Client::Answer ask(const std::string& path, const std::string& body = kBody, const std::string& headers = kSigned) {
    post(path, body, headers);
    return client_->read_answer();
  }
  // Verifies for ever, until the gate opens.
  void hang() {
    verify_ = [this](const http::RequestView&) {
      gate_.pass();
      return Status::ok();
    };
  }
  void expect_unavailable(const Client::Answer& answer) {
    EXPECT_EQ(answer.status, 503);
    EXPECT_TRUE(answer.has("Retry-After: ")) << answer.head;
    EXPECT_EQ(answer.body, R"({"error":"the signature could not be checked"})");
  }

  Gate gate_;
  Verify verify_ = [](const http::RequestView&) { return Status::ok(); };  // set before it is asked for
  std::atomic<int> asked_{0};
  std::shared_ptr<CallPool> pool_ = std::make_shared<CallPool>(CallPool::Limits{kThreads, kWaiting});
};

// ---- verdicts

TEST_F(FunctionSchemesTest, TakesWhatThePluginAccepts) {
  post("/odd", kBody, kSigned);
  auto events = sink_.take();
  EXPECT_EQ(events[0]->event.external_id, "EV1");
  EXPECT_EQ(events[0]->event.body, kBody);
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().body, R"({"status":"queued","event_id":"evt_1"})");
  EXPECT_EQ(asked_, 1);
}

TEST_F(FunctionSchemesTest, ShowsThePluginTheWholeRequest) {
  std::thread::id loop, plugin;
  on_loop([&] {
    loop = std::this_thread::get_id();
    urls_.public_url = "https://hooks.acme.io";
  });
  verify_ = [&](const http::RequestView& view) {
    plugin = std::this_thread::get_id();
    EXPECT_EQ(view.method, "POST");
    EXPECT_EQ(view.target, "/odd?a=%41");
    EXPECT_EQ(view.body, kBody);
    EXPECT_EQ(view.remote, "127.0.0.1");
    EXPECT_EQ(view.header("X-ODD", 0), "signature");
    EXPECT_EQ(view.header("host", 0), "gateway");
    EXPECT_THAT(*view.urls, ElementsAre("https://hooks.acme.io/odd?a=%41"));
    return Status::ok();
  };
  post("/odd?a=%41", kBody, kSigned);
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
  EXPECT_NE(plugin, loop) << "a plugin's code never runs on a loop";
}

// Whatever it was, the request that is stored is the one that was verified.
TEST_F(FunctionSchemesTest, HandsTheRequestBackAsItCame) {
  std::string body(500'000, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 >> 3);
  post("/odd/bytes?q=1", body, kSigned + "X-Id: ID7\r\nX-Extra: one\r\n");
  auto events = sink_.take();
  const NewEvent& event = events.at(0)->event;
  EXPECT_TRUE(event.body == body);
  EXPECT_EQ(event.external_id, "ID7") << "the scheme that verified it says where the id is";
  EXPECT_EQ(event.target, "/odd/bytes?q=1");
  EXPECT_EQ(event.type, "acme.bytes");
  EXPECT_THAT(event.headers, HasSubstr("X-Extra: one\r\n"));
  commit(std::move(events));
  EXPECT_EQ(client_->read_answer().status, 200);
}

TEST_F(FunctionSchemesTest, RefusesWhatThePluginDeniesLikeAnyOtherSignature) {
  verify_ = [](const http::RequestView&) { return Status(Code::kDenied, "not the secret of account 4711"); };
  Client::Answer answer = refusal("/odd", kBody, kSigned);
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.body, R"({"error":"the signature is not valid"})");
  EXPECT_EQ(refusal("/odd/403", kBody, kSigned).status, 403);
}

TEST_F(FunctionSchemesTest, DoesNotAskThePluginAboutHeadersThatAreMissingOrDoubled) {
  std::string denied = R"({"error":"the signature is not valid"})";
  EXPECT_EQ(refusal("/odd", kBody, "").body, denied);
  Client::Answer doubled = refusal("/odd", kBody, kSigned + "x-ODD: signature\r\n");
  EXPECT_EQ(doubled.status, 401);
  EXPECT_EQ(doubled.body, denied);
  EXPECT_EQ(asked_, 0);
}

TEST_F(FunctionSchemesTest, AsksToTryAgainWhenThePluginCannotTell) {
  verify_ = [](const http::RequestView&) { return Status(Code::kInternal, "exception: out of luck"); };
  expect_unavailable(refusal("/odd", kBody, kSigned));
  expect_unavailable(refusal("/odd/403", kBody, kSigned));
  verify_ = [](const http::RequestView&) { return Status::ok(); };
  post("/odd", kBody, kSigned);
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
}

// A forged request must not learn what the route needs of a body.
TEST_F(FunctionSchemesTest, LooksAtTheBodyOnlyAfterwards) {
  verify_ = [](const http::RequestView&) { return Status(Code::kDenied, ""); };
  EXPECT_EQ(refusal("/odd", "not json", kSigned).status, 401);
  verify_ = [](const http::RequestView&) { return Status::ok(); };
  EXPECT_EQ(refusal("/odd", "not json", kSigned).status, 422);
}

TEST_F(FunctionSchemesTest, GivesTheRequestOnToTheReplyHandler) {
  EXPECT_EQ(ask("/odd/reply").body, kBody + "!");
  verify_ = [](const http::RequestView&) { return Status(Code::kDenied, ""); };
  EXPECT_EQ(ask("/odd/reply").status, 401);
}

TEST_F(FunctionSchemesTest, LeavesDescribedSchemesOnTheLoop) {
  post("/both", kBody, signed_header(kBody));
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
  EXPECT_EQ(refusal("/both", kBody + " ", signed_header(kBody)).status, 401);
  EXPECT_EQ(pool_->status().threads, 0u) << "no thread was ever needed";
  EXPECT_EQ(asked_, 0);
  // With the headers of both, the one that the route lists first is the only one tried.
  verify_ = [](const http::RequestView&) { return Status(Code::kDenied, ""); };
  EXPECT_EQ(refusal("/both", kBody, kSigned + signed_header(kBody)).status, 401);
  EXPECT_EQ(asked_, 1);
}

// ---- plugins that hang

TEST_F(FunctionSchemesTest, WaitsOnlySoLongAndServesTheRest) {
  hang();
  auto waiting = connect_tcp();
  int64_t begin = steady_ms();
  waiting->send(request("/odd", kBody, kSigned));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  for (int i = 0; i < 20; ++i) {
    post("/both", kBody, signed_header(kBody));
    commit(sink_.take());
    EXPECT_EQ(client_->read_answer().status, 200);
  }
  EXPECT_FALSE(waiting->readable_within(0));
  expect_unavailable(waiting->read_answer());
  EXPECT_GE(steady_ms() - begin, 1'900);
  EXPECT_LT(steady_ms() - begin, 5'000);
  gate_.open();
  EXPECT_TRUE(pool_->stop(10'000));
  on_loop([] {});
  EXPECT_EQ(sink_.size(), 0u) << "accepted too late: the sender was told to try again";
  EXPECT_FALSE(waiting->readable_within(0)) << "a second answer";
}

TEST_F(FunctionSchemesTest, TurnsAwayAtOnceWhatHasNoRoomToWait) {
  struct Hanging final : CallPool::Call {
    explicit Hanging(Gate& g) : CallPool::Call(steady_ms() + 3'600'000, 0), gate(g) {}
    void run() override { gate.pass(); }
    Gate& gate;
  };
  for (int i = 0; i < kThreads + kWaiting; ++i) {
    ASSERT_TRUE(pool_->submit(std::make_shared<Hanging>(gate_)));
    if (i < kThreads) {
      ASSERT_TRUE(gate_.wait_for_arrivals(i + 1));
    }
  }
  int64_t begin = steady_ms();
  expect_unavailable(refusal("/odd", kBody, kSigned));
  EXPECT_LT(steady_ms() - begin, 1'500);
  EXPECT_EQ(asked_, 0);
  gate_.open();
  ASSERT_TRUE(gate_.wait_for_passed(kThreads + kWaiting));
  post("/odd", kBody, kSigned);
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
}

TEST_F(FunctionSchemesTest, WorksAgainWhenItsThreadsComeBack) {
  hang();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kThreads; ++i) {
    clients.push_back(connect_tcp());
    clients.back()->send(request("/odd", kBody, kSigned));
  }
  for (auto& client : clients) expect_unavailable(client->read_answer());
  expect_unavailable(ask("/odd"));  // on the last thread that replaces one
  int64_t begin = steady_ms();
  expect_unavailable(ask("/odd"));
  EXPECT_LT(steady_ms() - begin, 1'500) << "all are stuck: nothing to wait for";
  gate_.open();
  for (int64_t until = steady_ms() + 10'000; pool_->status().threads > 0 && steady_ms() < until;) std::this_thread::yield();
  post("/odd", kBody, kSigned);
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
}

// ---- clients that go, gateways that stop

TEST_F(FunctionSchemesTest, OutlivesAClientThatIsGone) {
  hang();
  client_->send(request("/odd", kBody, kSigned));
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  client_->reset();
  gate_.open();
  commit(sink_.take());
  EXPECT_TRUE(all_closed_within(std::chrono::seconds(10)));
}

TEST_F(FunctionSchemesTest, AnswersWithoutThePluginWhenTheLoopEnds) {
  hang();
  post("/odd", kBody, kSigned);
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  on_loop([this] { ingest_->end_calls(); });
  expect_unavailable(client_->read_answer());
  gate_.open();
  EXPECT_TRUE(pool_->stop(10'000));
  on_loop([] {});
  EXPECT_EQ(sink_.size(), 0u);
}

TEST_F(FunctionSchemesTest, FinishesWhatItBeganWhileItDrains) {
  hang();
  post("/odd", kBody, kSigned);
  ASSERT_TRUE(gate_.wait_for_arrivals(1));
  on_loop([this] { ingest_->start_draining(); });
  gate_.open();
  commit(sink_.take());
  EXPECT_EQ(client_->read_answer().status, 200);
}

}  // namespace
}  // namespace postern::ingest
