// A call of openai_realtime: the plugin itself, in a host of the SDK's, between a caller and a model that say whatever the input says.
// Input: lines. "c" and a text: the caller sends it; "m": the model does; "s": a start as it should be; "o": the model's session opens;
// "x": it ends; "t" and a digit: so many seconds pass; "b": the caller takes nothing, "w": again.
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "postern/testing/fake_host.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using nlohmann::json;
using testing::FakeHost;

constexpr const char* kKey = "sk-never-to-be-shown";
constexpr size_t kCallsOfAHost = 20;  // it keeps all that there was
constexpr const char* kStart =
    R"({"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","streamSid":"MZ1","mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"From":"1"}}})";

std::unique_ptr<FakeHost> make_host() {
  auto host = std::make_unique<FakeHost>(postern_entry, testing::Options{.name = "openai_realtime", .max_sessions = 1'000'000, .foreign_schemes = {"twilio:twilio"}});
  const json config = {{"api_key", kKey},
                       {"greeting", "Hello."},
                       {"fallback", "<Response/>"},
                       {"media_streams", {{"token", "optional"}}},
                       {"tools", {{{"name", "f"}, {"url", "https://h.example/"}}}}};
  EXPECT(host->start(config.dump()).ok());
  return host;
}

// One call, watched from both ends by the rules of their protocols.
class Watched {
 public:
  explicit Watched(FakeHost& host) : host_(host), calls_before_(completed()) {
    caller_ = host_.reply({.method = "GET", .target = "/api/v1/voice/media-stream"}).session;
    EXPECT(caller_ != 0);
    host_.open(caller_);
  }

  void step(char what, const std::string& rest) {
    if (what == 'c' && is_there(caller_)) host_.receive(caller_, rest);
    if (what == 's' && is_there(caller_)) host_.receive(caller_, kStart);
    if (what == 'b' && is_there(caller_)) host_.set_buffered(caller_, 2 << 20);
    if (what == 'w' && is_there(caller_)) host_.set_buffered(caller_, 0), host_.writable(caller_);
    if (what == 't') host_.pass(std::chrono::seconds(rest.empty() ? 1 : rest[0] & 31));
    if (const size_t model = newest_model()) {
      if (what == 'o' && !view(model).open) host_.open(model);
      if (what == 'm' && view(model).open) hear(rest), host_.receive(model, rest);
      if (what == 'x') host_.end(model, {.code = 1006, .by_peer = false});
    }
    check();
  }

  void finish() {
    for (size_t number = caller_; number <= host_.session_count(); ++number) {
      if (is_there(number)) host_.end(number);
      check();
    }
    EXPECT(completed() <= calls_before_ + 1);
  }

 private:
  size_t completed() const {
    size_t count = 0;
    for (const auto& event : host_.published()) {
      EXPECT_THAT(json::accept(event.body), event.body);
      count += event.type == "voice.call.completed";
    }
    return count;
  }
  testing::SessionView view(size_t number) const { return host_.session(number); }
  bool is_there(size_t number) const { return !view(number).ended; }
  size_t newest_model() const {
    const size_t last = host_.session_count();
    return last > caller_ && is_there(last) ? last : 0;
  }

  // How much audio of an item the model has given, at most. Of a key that stands twice the plugin may take either.
  void hear(const std::string& text) {
    size_t keys = 0;
    const auto count = [&](int depth, json::parse_event_t what, json&) { return keys += what == json::parse_event_t::key && depth == 1, true; };
    const json event = json::parse(text, count, false);
    if (!event.is_object()) return;
    if (keys != event.size()) unclear_ms_ += static_cast<double>(text.size()) * 0.75 / 8;
    const json item = event.value("item_id", json()), delta = event.value("delta", json());
    if (delta.is_string()) given_ms_[item.is_string() ? item.get<std::string>() : ""] += static_cast<double>(delta.get_ref<const std::string&>().size()) * 0.75 / 8;
  }

  void check() {
    EXPECT_THAT(host_.misuses().empty(), host_.misuses().empty() ? "" : host_.misuses()[0]);
    for (const auto& message : host_.take_sent(caller_)) {
      const json said = json::parse(message.data, nullptr, false);
      EXPECT_THAT(said.is_object() && said["streamSid"].is_string(), message.data);
      const std::string event = said.value("event", "");
      EXPECT_THAT(event == "media" || event == "mark" || event == "clear", message.data);
      if (event == "mark") EXPECT_THAT(marks_.insert(said["mark"]["name"].get<std::string>()).second, message.data);
      if (event == "media") EXPECT_THAT(!said["media"]["payload"].get<std::string>().empty(), message.data);
    }
    for (size_t model = caller_ + 1; model <= host_.session_count(); ++model) {
      for (const auto& message : host_.take_sent(model)) check_client_event(message.data);
    }
  }

  void check_client_event(const std::string& text) {
    static const std::set<std::string> kKnown = {"session.update", "input_audio_buffer.append", "conversation.item.create", "conversation.item.truncate", "response.create", "response.cancel"};
    const json event = json::parse(text, nullptr, false);
    EXPECT_THAT(event.is_object() && kKnown.count(event.value("type", "")) == 1, text);
    if (event["type"] != "conversation.item.truncate") return;
    const double end = event["audio_end_ms"].get<double>();
    EXPECT_THAT(end >= 0 && end <= given_ms_[event["item_id"].get<std::string>()] + unclear_ms_ + 1, text);
  }

  FakeHost& host_;
  size_t caller_ = 0;
  const size_t calls_before_;
  std::set<std::string> marks_;
  std::map<std::string, double> given_ms_;
  double unclear_ms_ = 0;
};

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  static std::unique_ptr<FakeHost> host;
  static size_t calls = 0;
  if (!host || ++calls % kCallsOfAHost == 0) host = make_host();
  Watched call(*host);
  Input input(data, size);
  while (!input.rest().empty()) {
    const std::string_view line = input.line();
    if (!line.empty()) call.step(line[0], std::string(line.substr(1)));
  }
  call.finish();
  for (const auto& line : host->log()) EXPECT_THAT(line.text.find(kKey) == std::string::npos, line.text);
  return 0;
}

