// Events that a plugin publishes, through the C++ wrapper and the fake host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "scripted.h"

namespace {

using postern::Published;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PublisherOfTheSdk : public postern::testing::ScriptedTest {
 protected:
  void begin(postern::testing::Options options = {}) {
    auto started = start(
        [this](postern::Setup& setup, std::string_view) {
          publisher_ = setup.publisher();
          setup.on("tool", [this](postern::Delivery& delivery) {
            seen_.push_back(std::string(delivery.body()) + "|" + std::string(delivery.order_key()) + "|" +
                            std::string(delivery.external_id()));
            if (delivery.body() == "\"bad\"") throw postern::Dead("it is bad");
            delivery.set_result("[1]");
          });
        },
        std::move(options));
    ASSERT_TRUE(started.ok()) << started.error;
  }
  auto noting() {
    return [this](const Published& p) {
      told_.push_back(std::string(p.durable ? "durable" : "not") + (p.duplicate ? " again" : "") + (p.settled ? " settled" : "") + " " +
                      std::string(p.event_id) + " " + std::string(p.result) + std::string(p.error));
    };
  }

  postern::Publisher publisher_;
  std::vector<std::string> seen_, told_;
};

TEST_F(PublisherOfTheSdk, ArrivesMemberForMember) {
  begin();
  publisher_.publish({.type = "voice.ended", .body = "{}", .order_key = "k", .external_id = "i", .wait = std::chrono::seconds(5)});
  ASSERT_THAT(host->published(), SizeIs(1));
  const auto event = host->published()[0];
  EXPECT_EQ(event.type, "voice.ended");
  EXPECT_EQ(event.body, "{}");
  EXPECT_EQ(event.order_key, "k");
  EXPECT_EQ(event.external_id, "i");
  EXPECT_EQ(event.wait_ms, 5000u);
  EXPECT_THAT(host->run_published(), IsEmpty()) << "no handler takes it";
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(PublisherOfTheSdk, IsDurableAndHandled) {
  begin();
  publisher_.publish({.type = "plugin.tool", .body = "1", .order_key = "k"}, noting());
  EXPECT_THAT(told_, IsEmpty()) << "not from inside the call";
  const auto settled = host->run_published();
  EXPECT_THAT(told_, ElementsAre("durable evt_published_1 "));
  EXPECT_THAT(seen_, ElementsAre("1|k|"));
  ASSERT_THAT(settled, SizeIs(1));
  EXPECT_EQ(settled[0].result, "[1]");
  EXPECT_THAT(host->run_published(), IsEmpty()) << "once";
}

TEST_F(PublisherOfTheSdk, WaitsForItsHandler) {
  begin();
  const auto wait = std::chrono::seconds(1);
  publisher_.publish({.type = "plugin.tool", .body = "1", .wait = wait}, noting());
  publisher_.publish({.type = "plugin.tool", .body = "\"bad\"", .wait = wait}, noting());
  host->run_published();
  EXPECT_THAT(told_, ElementsAre("durable settled evt_published_1 [1]", "durable evt_published_2 not done in time: it is bad"));
}

TEST_F(PublisherOfTheSdk, DuplicatesAndRefusals) {
  begin();
  publisher_.publish({.type = "plugin.tool", .body = "1", .external_id = "i"}, noting());
  publisher_.publish({.type = "plugin.tool", .body = "2", .external_id = "i"}, noting());
  host->refuse_published("the backlog is full");
  publisher_.publish({.type = "plugin.tool", .body = "3"}, noting());
  host->run_published();
  EXPECT_THAT(told_, ElementsAre("durable evt_published_1 ", "durable again evt_published_1 ", "not  the backlog is full"));
  EXPECT_THAT(seen_, ElementsAre("1||i"));
}

TEST_F(PublisherOfTheSdk, AnExceptionOfTheCallbackIsLogged) {
  begin();
  publisher_.publish({.type = "plugin.tool", .body = "1"}, [](const Published&) { throw std::runtime_error("oops"); });
  host->run_published();
  ASSERT_THAT(host->log(), SizeIs(1));
  EXPECT_THAT(host->log()[0].text, HasSubstr("the callback of a published event failed: oops"));
}

TEST_F(PublisherOfTheSdk, WhatTheHostRefusesThrows) {
  begin();
  EXPECT_THROW(publisher_.publish({.type = "t", .body = "no json"}, noting()), postern::Error);
  EXPECT_THROW(publisher_.publish({.type = "", .body = "{}"}), postern::Error);
  EXPECT_THROW(publisher_.publish({.type = "t", .body = "{}", .wait = std::chrono::hours(2)}), postern::Error);
  const std::string large = "\"" + std::string(4 << 20, 'x') + "\"";
  EXPECT_THROW(publisher_.publish({.type = "t", .body = large}), postern::Error);
  EXPECT_THROW(postern::Publisher().publish({.type = "t", .body = "{}"}), postern::Error) << "nobody has made it";
  EXPECT_THAT(host->published(), IsEmpty());
}

TEST_F(PublisherOfTheSdk, FromActivateOnUntilDeactivate) {
  script_.activate = [this] { publisher_.publish({.type = "t", .body = "1"}, noting()); };
  script_.deactivate = [this] { EXPECT_THROW(publisher_.publish({.type = "t", .body = "2"}), postern::Gone); };
  begin();
  EXPECT_THAT(told_, IsEmpty());
  host->stop();
  EXPECT_THAT(told_, ElementsAre("durable evt_published_1 ")) << "before it is deactivated";
  EXPECT_THAT(host->misuses(), IsEmpty());
}

TEST_F(PublisherOfTheSdk, NotInInit) {
  auto started = start([](postern::Setup& setup, std::string_view) { setup.publisher().publish({.type = "t", .body = "1"}); });
  EXPECT_FALSE(started.ok());
}

}  // namespace
