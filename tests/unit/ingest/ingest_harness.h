// Ingest behind a real socket, with the test in the store's and the dispatcher's place. Thread-safety: the test's thread, but
// where a member says otherwise.
#pragma once

#include <gmock/gmock.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/ingest/ingest.h"
#include "core/signature/described_scheme.h"
#include "tests/unit/http/connection_harness.h"

namespace postern::ingest::testing {

using http::testing::Client;
using std::chrono::seconds;

constexpr int64_t kWindowMs = 60'000;

inline Expression expression(std::string_view text) {
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
    if (!changed_.wait_for(lock, seconds(10), [&] { return events_.size() >= count; })) throw std::runtime_error("no event came");
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

inline signature::SchemeDescription scheme_description() {
  signature::SchemeDescription d;
  d.name = "plain";
  d.header = "x-signature";
  d.format = "sha256={signature}";
  d.secrets = {"one secret"};
  return d;
}

// One event route, /hook, to begin with; a test adds its own in its constructor.
class IngestHarness : public http::testing::ConnectionTest {
 protected:
  IngestHarness() {
    auto compiled = signature::DescribedScheme::compile(scheme_description());
    if (!compiled) throw std::runtime_error(compiled.status().message());
    scheme_ = std::make_shared<const signature::DescribedScheme>(std::move(*compiled));
    add("/hook", [](Route&) {});
    targets_.add_handlers("acme", "handlers", {"thing.*"});
  }
  void SetUp() override {
    ConnectionTest::SetUp();
    ingest_ = std::make_unique<Ingest>(
        loop_, Ingest::Parts{std::make_shared<Ingest::Tables>(Ingest::Tables{routes_, targets_, kWindowMs, urls_}), sink_, board_});
    on_loop([this] {
      service_.head = [this](http::Exchange& e, const http::Request& head) { return ingest_->on_head(e, head); };
      service_.request = [this](std::shared_ptr<http::Exchange> e) { ingest_->on_request(std::move(e)); };
    });
    client_ = connect_tcp();
  }

  static std::string request(const std::string& path, const std::string& body, const std::string& headers = "",
                             const std::string& method = "POST") {
    return method + " " + path + " HTTP/1.1\r\nHost: gateway\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
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

  RouteTable routes_;
  TargetTable targets_;
  FakeSink sink_;
  FakeBoard board_;
  admission::UrlSource urls_;
  std::shared_ptr<const signature::DescribedScheme> scheme_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<Client> client_;
};

}  // namespace postern::ingest::testing
