// The dispatcher over a store in memory, with one subscriber for the events of "acme" and room for more.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/dispatch/dispatcher.h"
#include "tests/unit/dispatch/fake_store.h"

namespace postern::dispatch::testing {

// What handlers did, in order. Thread-safety: any thread.
class Calls {
 public:
  void add(std::string what) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
    changed_.notify_all();
  }
  bool wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return all_.size() >= count; });
  }
  std::vector<std::string> all() {
    std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class DispatcherHarness : public ::testing::Test {
 protected:
  DispatcherHarness() {
    subscribe("handlers");
    targets_.add_handlers("acme", "handlers", {"acme.*"});
  }
  ~DispatcherHarness() override {
    if (dispatcher_) {
      EXPECT_TRUE(dispatcher_->stop(60'000));
    }
    store_.stop();
  }

  // Before start(). Retries come at once, the breaker stays closed, and there is a minute for each run.
  Subscriber& subscribe(const std::string& name) {
    using config::milliseconds;
    Subscriber& s = subscribers_.emplace_back();
    s.plugin = "acme";
    s.name = name;
    s.policies.retry = {5, milliseconds(1), 1, milliseconds(60'000), 0};
    s.policies.breaker = {1000, milliseconds(30'000)};
    s.policies.deadline = milliseconds(60'000);
    return s;
  }
  Subscriber& own() { return subscribers_.front(); }
  void start(uint32_t workers = 4) {
    dispatcher_ = std::make_unique<Dispatcher>(roster_, store_, workers);
    ASSERT_TRUE(store_.start(*dispatcher_, *dispatcher_, [](const Status&) {}));
    dispatcher_->start();
  }

  static std::string text(const Delivery& d) { return std::to_string(d.seq()) + "." + std::to_string(d.attempt()); }

  Calls calls_;
  std::shared_ptr<Roster> roster_ = std::make_shared<Roster>();
  std::vector<Subscriber>& subscribers_ = roster_->subscribers;
  ingest::TargetTable& targets_ = roster_->targets;
  CriticalTypes& critical_ = roster_->critical;
  FakeStore store_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

}  // namespace postern::dispatch::testing
