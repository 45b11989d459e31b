// Reply routes of a plugin whose handler is what a test says. Thread-safety: the test's thread; the handler runs on the plugin's.
#pragma once

#include <thread>

#include "tests/unit/ingest/gate.h"
#include "tests/unit/ingest/ingest_harness.h"

namespace postern::ingest::testing {

inline const std::string kBody = R"({"id":"EV1","type":"thing.made"})";

class ReplyHarness : public IngestHarness {
 protected:
  static constexpr int kThreads = 2, kWaiting = 3;
  static constexpr int64_t kQuickMs = 400;  // time enough for a thread to begin

  ReplyHarness() {
    add_reply("/answer", [](Route&) {});
    add_reply("/calls/{call}/voice", [](Route& r) { r.type_from = r.unsigned_id_from = expression("form:From"); });
    add_reply("/quick", [](Route& r) { r.deadline_ms = kQuickMs; });
    add_reply("/recorded", [](Route& r) { r.recorded = true; });
    add_reply("/recorded/quick", [](Route& r) {
      r.recorded = true;
      r.deadline_ms = kQuickMs;
    });
    add_reply("/head", [](Route& r) {
      r.method = "HEAD";
      r.unsigned_id_from = expression("const:head");
      r.type_from = expression("const:head");
    });
  }
  void TearDown() override {
    gate_.open();
    after_.open();
    EXPECT_TRUE(pool_->stop(10'000));
    IngestHarness::TearDown();
  }

  Client::Answer ask(const std::string& path, const std::string& body = kBody, const std::string& headers = "") {
    post(path, body, headers);
    return client_->read_answer();
  }
  static void send(const std::shared_ptr<Reply>& reply, const std::string& body) {
    EXPECT_TRUE(reply->send(http::Response::json(200, body)));
  }
  static bool eventually(const std::function<bool()>& condition) {
    for (int64_t until = steady_ms() + 10'000; steady_ms() < until; std::this_thread::yield()) {
      if (condition()) return true;
    }
    return false;
  }

  Gate gate_, after_;     // opened in the end
  ReplyHandler handler_;  // set before it is asked for; calls on_return() itself where that matters
  std::shared_ptr<CallPool> pool_ = std::make_shared<CallPool>(CallPool::Limits{kThreads, kWaiting});

 private:
  void add_reply(const std::string& path, const std::function<void(Route&)>& change) {
    add(path, [&](Route& r) {
      r.kind = Route::Kind::kReply;
      r.reply = [this](const std::shared_ptr<Reply>& reply) { handler_(reply); };
      r.replying = pool_;
      change(r);
    });
  }
};

}  // namespace postern::ingest::testing
