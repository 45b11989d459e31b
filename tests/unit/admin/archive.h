// Archive: a real store in a folder of its own, with a dispatcher that does not run, and views over both.
// Thread-safety: one thread, but for the views.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/admin/upkeep_api.h"
#include "core/admin/views.h"
#include "tests/unit/store/store_support.h"

namespace postern::admin::testing {

class Archive {
 public:
  Archive() {
    auto opened = store::sqlite::SqliteStore::open(folder_.file("events.db"), {});
    if (!opened) throw std::runtime_error(opened.status().message());
    store_ = std::move(*opened);
    if (Status s = store_->start(settled_, settled_, [](const Status&) { ADD_FAILURE() << "the store failed"; }); !s) {
      throw std::runtime_error(s.message());
    }
    dispatch::Subscriber& s = subscribers_.emplace_back();
    s.plugin = "acme";
    s.name = "handlers";
    dispatcher_ = std::make_unique<dispatch::Dispatcher>(roster_, *store_, 1);
    views_ = std::make_unique<Views>(Sources{*store_, *dispatcher_, [] { return nlohmann::json{{"what", "plugins"}}; },
                                             [] { return nlohmann::json{{"what", "routes"}}; },
                                             [] { return nlohmann::json{{"version", "1.2.3"}}; },
                                             [] { return std::string("# metrics\n"); }});
    store::Retention::Policy retention;
    retention.age = std::chrono::hours(24);
    upkeep_ = std::make_unique<UpkeepApi>(
        UpkeepApi::Sources{*store_, *store_, *dispatcher_, [retention] { return retention; }, [this] { ++jobs_begun; }});
  }
  ~Archive() { store_->stop(); }

  UpkeepApi& upkeep() { return *upkeep_; }
  store::Upkeep& store_upkeep() { return *store_; }
  std::string one(const std::string& sql) { return store::testing::Sql(folder_.file("events.db")).one(sql); }
  size_t jobs_begun = 0;

  Views& views() { return *views_; }

  // The id that the event got.
  std::string put(ingest::NewEvent event) {
    store::testing::Committed committed;
    store_->submit(store::testing::pending(std::move(event), committed));
    if (!committed.events.wait_for(1)) throw std::runtime_error("no answer to an event");
    const ingest::PendingEvent& put = *committed.events.values().front();
    if (put.outcome != ingest::Outcome::kStored) throw std::runtime_error("the event was not stored");
    return put.event_id;
  }
  // The same for an event with one delivery, whose seq is left in `delivery`.
  std::string put_delivery(uint64_t number, int64_t& delivery) {
    settled_.deliveries.take();
    std::string id = put(store::testing::new_event(number, {{"acme", "handlers"}}));
    if (!settled_.deliveries.wait_for(1)) throw std::runtime_error("no delivery");
    delivery = settled_.deliveries.take().front().seq;
    return id;
  }
  void settle(int64_t delivery, store::Settlement::Kind kind, uint32_t attempts = 1) {
    store_->submit_settlement(store::testing::settlement(delivery, kind, attempts));
    if (!settled_.settlements.wait_for(1)) throw std::runtime_error("no answer to a settlement");
    if (Status s = settled_.settlements.take().front()->status; !s) throw std::runtime_error(s.message());
  }

 private:
  store::testing::TempFolder folder_;
  store::testing::Settled settled_;
  std::unique_ptr<store::sqlite::SqliteStore> store_;
  std::shared_ptr<dispatch::Roster> roster_ = std::make_shared<dispatch::Roster>();
  std::vector<dispatch::Subscriber>& subscribers_ = roster_->subscribers;
  ingest::TargetTable& targets_ = roster_->targets;
  std::unique_ptr<dispatch::Dispatcher> dispatcher_;
  std::unique_ptr<Views> views_;
  std::unique_ptr<UpkeepApi> upkeep_;
};

}  // namespace postern::admin::testing
