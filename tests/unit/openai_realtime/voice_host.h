// The built plugin in a fake host, and both peers of a call: what they say is written after the providers' documentation alone.
// Thread-safety: one test at a time.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"
#include "tests/support/places.h"

namespace voice_test {

using nlohmann::json;
using postern::testing::FakeHost;
using postern::testing::SessionView;
using std::chrono::milliseconds;

inline const postern_plugin_entry& entry() {
  static const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/openai_realtime.so"));
  if (!loaded) throw std::runtime_error(loaded.error);
  return *loaded.entry;
}

constexpr const char* kStream = "MZ0123456789abcdef0123456789abcdef";
constexpr const char* kCall = "CA0123456789abcdef0123456789abcdef";
constexpr const char* kKey = "sk-test-0123456789";

inline json base_config() {
  return {{"api_key", kKey},
          {"session", {{"model", "gpt-realtime"}, {"voice", "marin"}, {"instructions", "Be brief."}}},
          {"media_streams", {{"signed_by", "twilio"}, {"token", "optional"}}}};
}

// 20 ms of silence: 160 bytes of µ-law.
inline const std::string& frame() {
  static const std::string payload = [] {
    std::string text;
    for (int i = 0; i < 53; ++i) text += "////";
    return text + "/w==";
  }();
  return payload;
}

class VoiceTest : public ::testing::Test {
 protected:
  void start(const json& config = base_config()) {
    host_ = std::make_unique<FakeHost>(entry(), postern::testing::Options{.name = "openai_realtime", .foreign_schemes = {"twilio:twilio"}});
    auto started = host_->start(config.dump());
    ASSERT_TRUE(started.ok()) << started.error << (started.refusals.empty() ? "" : started.refusals[0])
                              << (started.faults.empty() ? "" : started.faults[0].pointer + started.faults[0].text);
  }
  void TearDown() override {
    if (host_ != nullptr) {
      EXPECT_THAT(host_->misuses(), ::testing::IsEmpty());
    }
    host_.reset();
  }

  // A caller's stream, opened but without a start: the session's number.
  size_t open_stream(const std::string& target = "/api/v1/voice/media-stream") {
    auto replied = host_->reply({.method = "GET", .target = target});
    EXPECT_EQ(replied.status, 101u) << replied.error;
    host_->open(replied.session);
    host_->receive(replied.session, R"({"event":"connected","protocol":"Call","version":"1.0.0"})");
    return replied.session;
  }
  static json start_message(const json& parameters = json::object(), const std::string& call = kCall, const std::string& stream = kStream) {
    return {{"event", "start"},
            {"sequenceNumber", "1"},
            {"streamSid", stream},
            {"start",
             {{"accountSid", "AC0123456789abcdef0123456789abcdef"},
              {"callSid", call},
              {"streamSid", stream},
              {"tracks", {"inbound"}},
              {"mediaFormat", {{"encoding", "audio/x-mulaw"}, {"sampleRate", 8000}, {"channels", 1}}},
              {"customParameters", parameters}}}};
  }
  // A call whose model is there: caller_ and model_ are its sessions.
  void begin_call(const json& config = base_config(), const json& parameters = json::object()) {
    start(config);
    caller_ = open_stream();
    host_->receive(caller_, start_message(parameters).dump());
    ASSERT_EQ(host_->sessions().size(), 2u) << "the model is called";
    model_ = 2;
    host_->open(model_);
    hears_first_ = from_model();
    model({{"type", "session.created"}, {"session", json::object()}});
    model({{"type", "session.updated"}, {"session", json::object()}});
  }

  void caller(const json& message) { host_->receive(caller_, message.dump()); }
  void media(int64_t timestamp, const std::string& payload = frame(), const char* stream = kStream) {
    caller({{"event", "media"},
            {"sequenceNumber", "4"},
            {"streamSid", stream},
            {"media", {{"track", "inbound"}, {"chunk", "1"}, {"timestamp", std::to_string(timestamp)}, {"payload", payload}}}});
  }
  void mark(const std::string& name) { caller({{"event", "mark"}, {"sequenceNumber", "5"}, {"streamSid", kStream}, {"mark", {{"name", name}}}}); }
  void model(json event) {
    event["event_id"] = "event_x";
    host_->receive(model_, event.dump());
  }
  void delta(const std::string& item, int frames = 1, const std::string& response = "resp_1") {
    std::string audio(static_cast<size_t>(frames) * 160, '\xff');
    model({{"type", "response.output_audio.delta"}, {"response_id", response}, {"item_id", item}, {"output_index", 0}, {"content_index", 0}, {"delta", encode(audio)}});
  }
  void speech_started(const std::string& item = "item_user") {
    model({{"type", "input_audio_buffer.speech_started"}, {"audio_start_ms", 100}, {"item_id", item}});
  }
  void response_created(const std::string& id = "resp_1") { model({{"type", "response.created"}, {"response", {{"id", id}, {"status", "in_progress"}}}}); }
  void response_done(const std::string& id = "resp_1", const json& usage = nullptr) {
    json response = {{"id", id}, {"status", "completed"}, {"output", json::array()}};
    if (!usage.is_null()) response["usage"] = usage;
    model({{"type", "response.done"}, {"response", response}});
  }

  // What went out since the last time, as JSON.
  std::vector<json> to_caller() { return taken(caller_); }
  std::vector<json> from_model() { return taken(model_); }  // what the model was told
  SessionView session(size_t number) { return host_->sessions().at(number - 1); }
  bool closed(size_t number) { return session(number).closed.has_value(); }
  std::string log() const {
    std::string text;
    for (const auto& line : host_->log()) text += line.text + "\n";
    return text;
  }
  // The bodies of the events of a type that were published.
  std::vector<json> published(const std::string& type) {
    std::vector<json> bodies;
    for (const auto& event : host_->published()) {
      if (event.type == type) bodies.push_back(json::parse(event.body));
    }
    return bodies;
  }

  static std::string encode(const std::string& bytes) {
    static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (size_t i = 0; i < bytes.size(); i += 3) {
      uint32_t group = 0;
      for (size_t k = 0; k < 3; ++k) group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
      for (size_t k = 0; k < 4; ++k) text += k <= bytes.size() - i ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
    return text;
  }

  std::unique_ptr<FakeHost> host_;
  size_t caller_ = 1, model_ = 0;
  std::vector<json> hears_first_;  // what the model was told at once

 private:
  std::vector<json> taken(size_t number) {
    std::vector<json> messages;
    for (const auto& message : host_->take_sent(number)) messages.push_back(json::parse(message.data));
    return messages;
  }
};

}  // namespace voice_test
