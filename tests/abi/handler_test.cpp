// Handlers and health checks that misbehave: each run ends as a failure that the operator can read, never as a fault of the gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/dispatch/delivery.h"
#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using dispatch::HandlerOutcome;
using dispatch::HandlerResult;

// Holds nothing: what the handlers here write never gets as far as a store.
class EmptyStore final : public store::Store {
 public:
  void submit(std::unique_ptr<ingest::PendingEvent>) override {}
  Status accepting() const override { return Status::ok(); }
  Status start(store::DeliveryObserver&, store::SettleObserver&, OnFatal) override { return Status::ok(); }
  void stop() override {}
  void submit_settlement(std::unique_ptr<store::Settlement>) override {}
  Status condition() const override { return Status::ok(); }
  store::Counters counters() const override { return {}; }
  const store::Meter& meter() const override { return meter_; }
  uint64_t size_bytes() const override { return 0; }
  Result<store::OpenPage> open_deliveries(const store::OpenQuery&) override { return store::OpenPage(); }
  Result<store::OpenSummary> sum_up_open_deliveries() override { return store::OpenSummary(); }
  Result<std::shared_ptr<const store::StoredEvent>> event(int64_t) override { return Status(Code::kNotFound, "no such event"); }
  Result<std::optional<store::Record>> record(const std::string&, const std::string&, const std::string&) override {
    return std::optional<store::Record>();
  }
  Result<std::vector<store::NamedRecord>> records(const store::RecordFilter&) override { return std::vector<store::NamedRecord>(); }
  Result<std::vector<store::EventRow>> events(const store::EventFilter&) override { return std::vector<store::EventRow>(); }
  Result<std::vector<store::DeliveryRow>> deliveries(const store::DeliveryFilter&) override { return std::vector<store::DeliveryRow>(); }
  Result<std::vector<store::AttemptRow>> attempts(int64_t) override { return std::vector<store::AttemptRow>(); }

 private:
  store::Meter meter_;
};

class Handler : public ::testing::Test {
 protected:
  void SetUp() override {
    made_ = make("handler", "");
    ASSERT_NE(made_.instance, nullptr) << made_.error;
    subscriber_->plugin = "p";
  }

  // Runs the handler for the type as a worker does. The handler's result is what it ended with.
  HandlerResult run(const std::string& type, uint32_t depth = 0) {
    auto event = std::make_shared<store::StoredEvent>();
    event->type = "p." + type;
    event->provider = "p";
    event->depth = depth;
    ended_ = 0;
    HandlerResult end{HandlerOutcome::kPending, "it did not end"};
    delivery_ = std::make_shared<dispatch::Delivery>(7, 1, event, subscriber_, store_,
                                                     [&](const std::shared_ptr<dispatch::Delivery>&, HandlerResult result) {
                                                       ++ended_;
                                                       end = std::move(result);
                                                     });
    delivery_->on_return(made_.instance->handle(*delivery_));
    return end;
  }

  Made made_;
  EmptyStore store_;
  std::shared_ptr<dispatch::Subscriber> subscriber_ = std::make_shared<dispatch::Subscriber>();
  std::shared_ptr<dispatch::Delivery> delivery_;
  int ended_ = 0;
};

#define EXPECT_ENDS(TYPE, OUTCOME, WHY)      \
  do {                                       \
    HandlerResult result = run(TYPE);        \
    EXPECT_EQ(result.outcome, OUTCOME);      \
    EXPECT_EQ(result.why, WHY);              \
    EXPECT_EQ(ended_, 1);                    \
  } while (false)

TEST_F(Handler, ThatThrowsIsRunAgain) {
  EXPECT_ENDS("throws", HandlerOutcome::kRetry, "exception: index 7 of 3");
  EXPECT_ENDS("throws_int", HandlerOutcome::kRetry, "exception of an unknown type");
}

TEST_F(Handler, ThatReturnsWhatNobodyKnowsIsRunAgain) {
  EXPECT_ENDS("unknown_status", HandlerOutcome::kRetry, "the handler returned the unknown status 4711");
  EXPECT_ENDS("unknown_failure", HandlerOutcome::kRetry, "internal error of the plugin (status -4711)");
}

TEST_F(Handler, MayPutItsDeliveryOff) {
  EXPECT_ENDS("postpones", HandlerOutcome::kPostpone, "the breaker is open");
  EXPECT_ENDS("completes_as_postponed", HandlerOutcome::kPostpone, "the breaker is open");
}

TEST_F(Handler, IsNotGivenTheReasonOfAnother) {
  EXPECT_ENDS("stale_error", HandlerOutcome::kDone, "");
  EXPECT_ENDS("silent_retry", HandlerOutcome::kRetry, "");
}

TEST_F(Handler, ThatIsNotThereAnyMoreIsDead) {
  EXPECT_ENDS("removed", HandlerOutcome::kDead, "the plugin has no handler for p.removed any more");
}

TEST_F(Handler, CompletesOnce) {
  EXPECT_ENDS("completes_twice", HandlerOutcome::kDone, "");
  std::weak_ptr<dispatch::Delivery> weak = delivery_;
  delivery_.reset();
  EXPECT_TRUE(weak.expired()) << "a completed delivery is kept alive";
}

TEST_F(Handler, HasNoEffectsAfterItsCompletion) {
  run("effects_after_complete");
  EXPECT_EQ(ended_, 1);
  store::Settlement settlement;
  delivery_->take_effects(settlement);
  EXPECT_TRUE(settlement.records.empty());
  EXPECT_TRUE(settlement.emitted.empty());
  EXPECT_EQ(settlement.result_json, "");
}

TEST_F(Handler, CannotCompleteAsPending) { EXPECT_ENDS("completes_as_pending", HandlerOutcome::kDead, std::to_string(POSTERN_E_INVALID)); }

TEST_F(Handler, CanPutOnlyJson) { EXPECT_ENDS("invalid_json", HandlerOutcome::kDead, "-1-1-1-1-1-1-1-1-1-1-1-1"); }

TEST_F(Handler, CanUseOnlyFitNames) { EXPECT_ENDS("bad_names", HandlerOutcome::kDead, "-1-1-1-1-1-1-1-1-1-1"); }

TEST_F(Handler, HasEffectsOfABoundedSize) {
  const std::string limit = std::to_string(POSTERN_E_LIMIT);
  EXPECT_ENDS("oversized", HandlerOutcome::kDead, "0 " + limit + " " + limit);
}

TEST_F(Handler, HasABoundedNumberOfEffects) {
  EXPECT_ENDS("endless_effects", HandlerOutcome::kDead,
              std::to_string(dispatch::kMaxEffects) + " then " + std::to_string(POSTERN_E_LIMIT));
}

TEST_F(Handler, EmitsOnlySoDeep) {
  EXPECT_EQ(run("emits", dispatch::kMaxDepth - 1).why, "0");
  EXPECT_EQ(run("emits", dispatch::kMaxDepth).why, std::to_string(POSTERN_E_LIMIT));
  EXPECT_EQ(run("emits", UINT32_MAX - 1).why, std::to_string(POSTERN_E_LIMIT));
}

TEST_F(Handler, HasHealthChecksThatTellWhatIsWrong) {
  const auto& checks = made_.instance->registrations().health_checks;
  ASSERT_EQ(checks.size(), 3u);
  auto check = [&](size_t i) {
    postern_health_report report;
    return made_.instance->check(checks[i], &report).message();
  };
  EXPECT_EQ(check(0), "exception: no route to host");
  EXPECT_EQ(check(1), "the account is closed");
  EXPECT_EQ(check(2), "-1-1-1-1") << "status 0, status 5, cut-off details, details that are no object";
}

}  // namespace
}  // namespace postern::testing
