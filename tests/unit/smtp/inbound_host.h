// The built plugin in a fake host, with SendGrid's route, and the public vector of its documentation. Thread-safety: one test at a time.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"
#include "tests/support/places.h"
#include "tests/support/sendgrid.h"

namespace smtp_test {

using nlohmann::json;
using postern::testing::FakeHost;
using postern::testing::SendgridKey;
using postern::testing::Settled;
using postern::testing::Verified;

// Twilio's sendgrid-python, test/unit/test_eventwebhook.py; JSON in one line, and behind it CR LF.
constexpr const char* kVectorKey =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
constexpr const char* kVectorTimestamp = "1600112502";
constexpr const char* kVectorSignature = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
constexpr const char* kVectorBody =
    R"([{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",)"
    R"("sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",)"
    R"("timestamp":1600112492}])"
    "\r\n";
constexpr int64_t kVectorArrival = 1'600'112'503'000;

inline json inbound_config(const std::vector<std::string>& keys, const json& more = json::object()) {
  json sendgrid = {{"public_keys", keys}};
  sendgrid.update(more);
  return {{"host", "smtp.example.com"},
          {"from", "postern@example.com"},
          {"health", {{"connect", false}}},
          {"inbound", {{"sendgrid", sendgrid}}}};
}

inline const postern_plugin_entry& smtp_entry() {
  static const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/smtp.so"));
  if (!loaded) throw std::runtime_error(loaded.error);
  return *loaded.entry;
}

// But for what the plugin does for itself at its start.
inline std::vector<postern::testing::PublishedEvent> told(const FakeHost& host) {
  std::vector<postern::testing::PublishedEvent> all = host.published();
  std::erase_if(all, [](const auto& one) { return one.type == "smtp.upkeep.plan"; });
  return all;
}

// What the plugin does against the host's rules is a failure of every test.
class InboundTest : public ::testing::Test {
 protected:
  void start(const json& config) {
    const auto started = host_.start(config.dump());
    ASSERT_TRUE(started.ok()) << started.error;
  }
  void TearDown() override { EXPECT_TRUE(host_.misuses().empty()) << host_.misuses()[0]; }

  FakeHost host_{smtp_entry(), {.name = "smtp"}};
};

}  // namespace smtp_test
