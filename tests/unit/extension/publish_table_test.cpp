// publish() of postern.events/1 as a plugin sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/events.h>

#include <future>
#include <optional>
#include <stdexcept>

#include "core/base/clock.h"
#include "core/extension/table.h"
#include "core/plugin/host.h"
#include "tests/support/eventually.h"
#include "tests/unit/ingest/ingest_harness.h"

namespace postern::extension {
namespace {

using ingest::testing::FakeBoard;
using ingest::testing::FakeSink;
using ::testing::HasSubstr;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(postern_str view) { return {view.ptr, view.len}; }

const postern_ext_events& table() {
  return *static_cast<const postern_ext_events*>(host_api().get_extension(nullptr, str(POSTERN_EXT_EVENTS)));
}

// What a callback was told, copied, for its views end with it.
struct Told {
  postern_instance* self = nullptr;
  uint32_t struct_size = 0, duplicate = 0, settled = 0;
  postern_status status = POSTERN_OK;
  std::string event_id, result, error;
};

void on_published(postern_instance* self, void* user, const postern_published* p) {
  static_cast<std::promise<Told>*>(user)->set_value(
      {self, p->struct_size, p->duplicate, p->settled, p->status, text(p->event_id), text(p->result), text(p->error)});
}

class PublishTable : public ::testing::Test {
 protected:
  PublishTable() {
    host_.name = "p";
    host_.self = reinterpret_cast<postern_instance*>(&host_);
  }
  ~PublishTable() override { EXPECT_TRUE(host_.publisher.close(steady_ms() + 10'000)); }
  void connect() {
    auto address = [](ingest::NewEvent& event) {
      event.targets = std::make_shared<std::vector<ingest::Target>>(std::vector<ingest::Target>{{"p", ingest::kOwnHandlers}});
      event.dedupe_until = INT64_MAX;
    };
    host_.publisher.connect({sink_, board_, address}, alarm_, "p");
  }
  static postern_publish_desc desc() {
    postern_publish_desc d{};
    d.struct_size = sizeof d;
    d.type = str("voice.ended");
    d.body = str("{}");
    return d;
  }
  postern_status publish(const postern_publish_desc& d) { return table().publish(&host_, &d, on_published, &promise_); }
  std::string fault_of(const postern_publish_desc& d, postern_status expected = POSTERN_E_INVALID) {
    plugin::take_error();
    EXPECT_EQ(publish(d), expected);
    return plugin::take_error();
  }
  std::unique_ptr<ingest::PendingEvent> taken() { return std::move(sink_.take()[0]); }
  void commit(std::unique_ptr<ingest::PendingEvent> event, ingest::Outcome outcome) {
    event->outcome = outcome;
    event->seq = 7;
    if (outcome == ingest::Outcome::kFailed) event->status = {Code::kIo, "the disk is gone"};
    if (outcome != ingest::Outcome::kFailed) event->event_id = "evt_7";
    ingest::CommitObserver* observer = event->observer;
    std::vector<std::unique_ptr<ingest::PendingEvent>> batch;
    batch.push_back(std::move(event));
    observer->on_committed(std::move(batch));
  }
  Told told() {
    auto future = promise_.get_future();
    if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready) throw std::runtime_error("nobody was told");
    return future.get();
  }

  FakeSink sink_;
  FakeBoard board_;
  plugin::Alarm alarm_;
  std::promise<Told> promise_;
  postern_host host_;
};

TEST_F(PublishTable, AnEventArrivesMemberForMember) {
  connect();
  postern_publish_desc d = desc();
  d.order_key = str("k");
  d.external_id = str("i");
  ASSERT_EQ(publish(d), POSTERN_OK);
  auto event = taken();
  EXPECT_EQ(event->event.provider, "p");
  EXPECT_EQ(event->event.type, "voice.ended");
  EXPECT_EQ(event->event.body, "{}");
  EXPECT_EQ(event->event.order_key, "k");
  EXPECT_EQ(event->event.external_id, "i");
  EXPECT_EQ(event->event.dedupe_until, INT64_MAX);
  commit(std::move(event), ingest::Outcome::kStored);
  const Told t = told();
  EXPECT_EQ(t.self, host_.self);
  EXPECT_EQ(t.struct_size, sizeof(postern_published));
  EXPECT_EQ(t.status, POSTERN_OK);
  EXPECT_EQ(t.duplicate + t.settled, 0u);
  EXPECT_EQ(t.event_id, "evt_7");
  EXPECT_EQ(t.result + t.error, "");
}

TEST_F(PublishTable, TheHandlersResult) {
  connect();
  postern_publish_desc d = desc();
  d.wait_ms = 60'000;
  ASSERT_EQ(publish(d), POSTERN_OK);
  commit(taken(), ingest::Outcome::kStored);
  board_.settle(7, "[1]");
  const Told t = told();
  EXPECT_EQ(t.settled, 1u);
  EXPECT_EQ(t.result, "[1]");
}

TEST_F(PublishTable, DuplicatesAndFailures) {
  connect();
  ASSERT_EQ(publish(desc()), POSTERN_OK);
  commit(taken(), ingest::Outcome::kDuplicate);
  const Told duplicate = told();
  EXPECT_EQ(duplicate.status, POSTERN_OK);
  EXPECT_EQ(duplicate.duplicate, 1u);
  EXPECT_EQ(duplicate.event_id, "evt_7");
  promise_ = {};
  ASSERT_EQ(publish(desc()), POSTERN_OK);
  commit(taken(), ingest::Outcome::kFailed);
  const Told failed = told();
  EXPECT_EQ(failed.status, POSTERN_RETRY);
  EXPECT_EQ(failed.event_id, "");
  EXPECT_EQ(failed.error, "the disk is gone");
}

TEST_F(PublishTable, FaultsAreSaid) {
  EXPECT_THAT(fault_of(desc(), POSTERN_E_STATE), HasSubstr("once the plugin is active"));
  connect();
  postern_publish_desc d = desc();
  d.wait_ms = 3'600'001;
  EXPECT_THAT(fault_of(d), HasSubstr("at most an hour"));
  d = desc();
  d.type = {};
  EXPECT_THAT(fault_of(d), HasSubstr("1 to 200 bytes"));
  d = desc();
  d.body = str("nothing");
  EXPECT_THAT(fault_of(d), HasSubstr("must be JSON"));
  const std::string large(ingest::kMaxPublishedBytes + 1, ' ');
  d.body = str(large);
  EXPECT_THAT(fault_of(d, POSTERN_E_LIMIT), HasSubstr("at most 4 MiB"));
  EXPECT_EQ(table().publish(&host_, nullptr, nullptr, nullptr), POSTERN_E_INVALID);
  EXPECT_TRUE(host_.publisher.close(steady_ms() + 10'000));
  EXPECT_THAT(fault_of(desc(), POSTERN_E_GONE), HasSubstr("being stopped"));
  EXPECT_EQ(sink_.size(), 0u);
}

// An older plugin's description is shorter.
TEST_F(PublishTable, AShorterDescription) {
  connect();
  postern_publish_desc d = desc();
  d.struct_size = offsetof(postern_publish_desc, external_id);
  d.external_id = str("beyond");
  ASSERT_EQ(publish(d), POSTERN_OK);
  auto event = taken();
  EXPECT_EQ(event->event.external_id, "");
  EXPECT_EQ(event->event.dedupe_until, 0);
  commit(std::move(event), ingest::Outcome::kStored);
  told();
}

}  // namespace
}  // namespace postern::extension
