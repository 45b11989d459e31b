// The built plugin in a fake host, and payloads of each generation to feed it. Thread-safety: one test at a time.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"
#include "tests/support/places.h"

namespace openphone_test {

using nlohmann::json;
using postern::testing::FakeHost;
using postern::testing::Settled;

constexpr const char* kConfig = R"({"webhook_secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]})";
constexpr int64_t kArrival = 1'795'000'000'000;  // 2026-11-18T…: later than every time in the payloads

inline const postern_plugin_entry& entry() {
  static const postern::testing::LoadedPlugin loaded =
      postern::testing::load_plugin(postern::testing::built("plugins/openphone.so"));
  if (!loaded) throw std::runtime_error(loaded.error);
  return *loaded.entry;
}

// The plugin, started.
class OpenPhoneTest : public ::testing::Test {
 protected:
  OpenPhoneTest() : host(entry(), {.name = "openphone"}) {
    auto started = host.start(kConfig);
    EXPECT_TRUE(started.ok()) << started.error;
  }
  ~OpenPhoneTest() override { EXPECT_TRUE(host.misuses().empty()) << host.misuses().at(0); }

  Settled deliver(const json& body) { return deliver_text(body.at("type").get<std::string>(), body.dump()); }
  Settled deliver_text(const std::string& type, const std::string& body) {
    postern::testing::Event event;
    event.type = type;
    event.body = body;
    event.external_id = "EVexternal";
    event.received_at = kArrival;
    return host.deliver(event);
  }
  // The record as JSON; null when there is none.
  json record(const char* collection, const std::string& key) {
    auto stored = host.record(collection, key);
    return stored ? json::parse(stored->json) : json();
  }
  json message(const std::string& id) { return record("messages", id); }
  json call(const std::string& id) { return record("calls", id); }
  json contact(const std::string& phone) { return record("contacts", phone); }

  FakeHost host;
};

constexpr const char* kThem = "+14155550123";
constexpr const char* kUs = "+14155550100";

// "2026-11-01T10:00:SSZ"
inline std::string at(int second) {
  return "2026-11-01T10:00:" + std::string(second < 10 ? "0" : "") + std::to_string(second) + "Z";
}
// The same as records write it.
inline std::string stored_at(int second) {
  std::string text = at(second);
  return text.substr(0, text.size() - 1) + ".000Z";
}

inline json current_message(const std::string& id, const std::string& text, int second) {
  return {{"id", "EV" + id},
          {"apiVersion", "2026-03-30"},
          {"createdAt", at(second)},
          {"type", "message.received"},
          {"data",
           {{"resource",
             {{"id", id},
              {"direction", "incoming"},
              {"text", text},
              {"status", "received"},
              {"createdAt", at(second)},
              {"media", json::array({{{"url", "https://m.example/1"}, {"type", "image/png"}}})}}},
            {"context",
             {{"conversationId", "CN1"},
              {"phoneNumberId", "PN1"},
              {"userId", "US1"},
              {"senderIdentifier", kThem},
              {"recipientIdentifiers", {kUs}}}},
            {"links", {{"quo", "https://my.quo.com/"}}}}}};
}

inline json current_call(const std::string& id, const std::string& type, const std::string& status, int second) {
  return {{"id", "EV" + id + type},
          {"apiVersion", "2026-03-30"},
          {"createdAt", at(second)},
          {"type", type},
          {"data",
           {{"resource", {{"id", id}, {"direction", "incoming"}, {"status", status}, {"createdAt", at(0)}}},
            {"context",
             {{"conversationId", "CN1"},
              {"participants", {{"workspace", {kUs}}, {"external", {kThem}}, {"resolution", "available"}}}}}}}};
}

// v2 and v3 differ from v4 in where the text is and what `to` is.
inline json legacy_message(const std::string& version, const std::string& id, const std::string& text) {
  json object = {{"id", id},
                 {"object", "message"},
                 {"from", kThem},
                 {"direction", "incoming"},
                 {"media", json::array()},
                 {"status", "received"},
                 {"createdAt", at(1)},
                 {"userId", "US1"},
                 {"phoneNumberId", "PN1"},
                 {"conversationId", "CN1"}};
  if (version == "v4") {
    object["text"] = text;
    object["to"] = {kUs, "+14155550101"};
  } else {
    object["body"] = text;
    object["to"] = std::string(kUs) + ",+14155550101";
  }
  return {{"id", "EV" + id},    {"object", "event"},          {"apiVersion", version},
          {"createdAt", at(1)}, {"type", "message.received"}, {"data", {{"object", object}}}};
}

}  // namespace openphone_test
