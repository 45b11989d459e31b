// A scheduler with two subscribers, `a` and `b` of the plugin acme, and the questions that tests ask of it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/dispatch/scheduler.h"

namespace postern::dispatch::testing {

using config::milliseconds;
using store::OpenDelivery;

constexpr int64_t kWall = 1'700'000'000'000;

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() {
    for (const char* name : {"a", "b"}) {
      Subscriber s;
      s.plugin = "acme";
      s.name = name;
      s.policies.breaker = {2, milliseconds(100)};
      s.policies.retry.cap = milliseconds(60'000);
      subscribers_.push_back(std::move(s));
    }
    make();
  }
  void make(bool loaded = true) {
    scheduler_ = std::make_unique<Scheduler>();
    scheduler_->adopt(roster_);
    EXPECT_FALSE(scheduler_->wanted_page()) << "before it knows of the store";
    store::OpenSummary summary;
    for (const Subscriber& s : subscribers_) {
      if (!loaded) summary.counts.push_back({s.plugin, s.name, 1, 1});
    }
    scheduler_->begin(summary);
    EXPECT_EQ(scheduler_->wanted_page().has_value(), !loaded && !subscribers_.empty());
  }
  // What the store answers to the page that is wanted now.
  void load(std::vector<OpenDelivery> deliveries, int64_t up_to, bool whole) {
    auto wanted = scheduler_->wanted_page();
    ASSERT_TRUE(wanted);
    ASSERT_LE(deliveries.size(), wanted->limit);
    scheduler_->load(*wanted, {std::move(deliveries), up_to, whole}, now_, kWall);
  }
  // The same, of a store in which everything up to `newest` is open, in turns of the subscribers where there are `subscribers` of them.
  void load_from(int64_t newest, int64_t subscribers = 1) {
    auto wanted = scheduler_->wanted_page();
    std::vector<OpenDelivery> page;
    for (int64_t i = wanted->after + 1; i <= newest && page.size() < wanted->limit; ++i) {
      if (i % subscribers == static_cast<int64_t>(wanted->subscriber) % subscribers) page.push_back(of(i, subscribers));
    }
    bool whole = page.size() < wanted->limit;
    int64_t up_to = whole ? newest : page.back().seq;
    load(std::move(page), up_to, whole);
  }
  static OpenDelivery of(int64_t seq, int64_t subscribers) { return delivery(seq, "", seq % subscribers == 0 ? "a" : "b"); }
  static OpenDelivery delivery(int64_t seq, const std::string& key = "", const char* subscriber = "a",
                               int64_t due_in = 0) {
    OpenDelivery d;
    d.seq = d.event_seq = seq;
    d.plugin = "acme";
    d.subscriber = subscriber;
    d.provider = "acme";
    d.order_key = key;
    d.due_at = kWall + due_in;
    return d;
  }
  void add(OpenDelivery d) { scheduler_->add(std::move(d), now_, kWall); }
  void requeue(OpenDelivery d) {
    d.replayed_at = kWall;
    scheduler_->requeue(std::move(d), now_, kWall);
  }
  int64_t next() {
    auto entry = scheduler_->next(now_);
    if (!entry) return 0;
    out_[entry->seq] = *entry;
    return entry->seq;
  }
  void release(int64_t seq) { scheduler_->release(out_.at(seq), now_); }

  std::shared_ptr<Roster> roster_ = std::make_shared<Roster>();
  std::vector<Subscriber>& subscribers_ = roster_->subscribers;  // as long as the roster is there
  std::unique_ptr<Scheduler> scheduler_;
  std::map<int64_t, Scheduler::Entry> out_;
  int64_t now_ = 1000;
};

}  // namespace postern::dispatch::testing
