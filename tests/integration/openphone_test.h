// OpenphoneTest: a gateway with openphone's route, shared by all tests of a suite, and the questions that they ask of
// it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/gateway.h"

namespace postern::testing {

inline nlohmann::json json_of(const Response& response) { return nlohmann::json::parse(response.body, nullptr, false); }

// The gateway's answer to an event: "queued", "duplicate_ignored", "processed"; otherwise the whole answer, for the
// report.
inline std::string status_of(const Response& response) {
  const auto json = json_of(response);
  if (response.status == 200 && json.is_object() && json.contains("status")) return json["status"];
  return std::to_string(response.status) + " " + response.body;
}

inline std::string event_id_of(const Response& response) {
  const auto json = json_of(response);
  return json.is_object() ? json.value("event_id", "") : "";
}

class OpenphoneTest : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { gateway_.reset(); }

  void SetUp() override {
    if (!gateway_ || !gateway_->running()) gateway_ = std::make_unique<Gateway>(options());
  }

  // A crash in one test is a failure of that test, whatever it looked at.
  void TearDown() override {
    if (!gateway_) return;  // it did not start, and that was told
    EXPECT_TRUE(gateway_->running()) << gateway_->log();
    if (HasFailure()) std::fprintf(stderr, "--- the gateway's log\n%s\n", gateway_->log().c_str());
  }

  virtual GatewayOptions options() const { return {}; }
  Gateway& gateway() { return *gateway_; }

  // Counts events after a valid one has gone the same way: commits keep their order, so nothing is still under way.
  int64_t events_after_marker() {
    const std::string id = new_event_id();
    EXPECT_EQ(status_of(gateway().post_signed(id, message_body(id))), "queued");
    return gateway().store().events();
  }

  // Says whether `act` stored no event and the gateway takes events as before.
  template <typename Act>
  bool stores_nothing(Act act) {
    const int64_t before = events_after_marker();
    act();
    return events_after_marker() == before + 1;
  }

  // The status of the answer to these bytes on a connection of their own; 0 when there is none. The connection must end
  // in order: a reset could have eaten the answer.
  int refusal_of(std::string_view bytes) {
    WireClient client = gateway().connect();
    client.send(bytes);
    const auto response = client.read_response();
    EXPECT_TRUE(client.read_until_close().empty()) << "bytes after the answer";
    EXPECT_EQ(client.ending(), Ending::kClosed);
    return response ? response->status : 0;
  }

 private:
  static inline std::unique_ptr<Gateway> gateway_;
};

}  // namespace postern::testing
