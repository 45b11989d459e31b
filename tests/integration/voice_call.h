// VoiceCallTest: a gateway between a caller as Twilio brings one and a scripted Realtime server, both of tests/support/voice, as processes
// that hold it to the protocols; and the questions that tests ask of their journals. The callers hear and speak tones.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/twilio_gateway.h"
#include "tests/support/places.h"

namespace postern::testing {

inline constexpr const char* kMediaStream = "/api/v1/voice/media-stream";
inline constexpr const char* kModelKey = "sk-test-of-the-model";
inline constexpr milliseconds kSoon{20'000};

// The lines of a journal, as far as they are written.
struct Journal {
  std::vector<nlohmann::json> lines;

  // Lines of this event, and with this value of a member where one is named.
  std::vector<nlohmann::json> all(const std::string& event, const std::string& member = "", const nlohmann::json& value = {}) const {
    std::vector<nlohmann::json> found;
    for (const nlohmann::json& line : lines) {
      if (line.value("event", "") == event && (member.empty() || line.value(member, nlohmann::json()) == value)) found.push_back(line);
    }
    return found;
  }
  size_t count(const std::string& event, const std::string& member = "", const nlohmann::json& value = {}) const {
    return all(event, member, value).size();
  }
  // The one line of this event; null where there is another number of them.
  nlohmann::json one(const std::string& event, const std::string& member = "", const nlohmann::json& value = {}) const {
    const auto found = all(event, member, value);
    return found.size() == 1 ? found[0] : nlohmann::json();
  }
};

inline Journal read_journal(const std::string& path) {
  Journal journal;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (parsed.is_object()) journal.lines.push_back(std::move(parsed));
  }
  return journal;
}

// A program of tests/support/voice with a journal. Debian's python, which has websockets.
class Standin {
 public:
  Standin(const std::string& program, const std::string& journal, std::vector<std::string> args) : journal_(journal) {
    std::vector<std::string> all{"-B", sources("tests/support/voice/" + program), "--log", journal};
    all.insert(all.end(), args.begin(), args.end());
    process_ = std::make_unique<Process>(Process::Options{"/usr/bin/python3", all, {}, "", ""});
  }

  Journal journal() const { return read_journal(journal_); }
  Process& process() { return *process_; }
  // Of a server: what it prints first.
  uint16_t port() {
    if (!process_->wait_for_line("}\n", kSoon)) throw std::runtime_error("a stand-in does not start: " + process_->err());
    return nlohmann::json::parse(process_->out())["port"];
  }
  // A caller's exit status: 0 all was as it should be.
  int status() {
    const auto exit = process_->wait(milliseconds(60'000));
    return exit ? exit->code : -1;
  }

 private:
  const std::string journal_;
  std::unique_ptr<Process> process_;
};

class VoiceCallTest : public ::testing::Test {
 protected:
  using json = nlohmann::json;

  VoiceCallTest() {
    char name[] = "/tmp/psv-XXXXXX";
    if (mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
    folder_ = name;
  }
  ~VoiceCallTest() override {
    std::error_code ignored;
    if (getenv("POSTERN_TEST_KEEP") == nullptr) std::filesystem::remove_all(folder_, ignored);
  }
  // Nothing of what the gateway sent was wrong, unless a test says so.
  void TearDown() override {
    if (model_) {
      EXPECT_THAT(model_->journal().all("violation"), ::testing::IsEmpty());
      EXPECT_THAT(model_->journal().all("broken"), ::testing::IsEmpty());
    }
    if (!gateway_) return;
    EXPECT_TRUE(gateway_->running());
    EXPECT_THAT(gateway_->log(), ::testing::Not(::testing::HasSubstr(kModelKey)));
    if (HasFailure()) std::fprintf(stderr, "--- the gateway's log\n%s\n", gateway_->log().c_str());
  }

  // The model, then the gateway. `config`: more of the plugin's, laid over its own; `twilio`: as in twilio_entry().
  void start(const json& script, const json& config = json::object(), const std::string& twilio = "") {
    start_model(script);
    start_gateway("ws://127.0.0.1:" + std::to_string(model_->port()) + "/v1/realtime", config, twilio);
  }
  void start_model(const json& script, const std::vector<std::string>& more = {}) {
    const std::string file = folder_ + "/script.json";
    std::ofstream(file) << script.dump();
    std::vector<std::string> args{"--script", file, "--key", kModelKey};
    args.insert(args.end(), more.begin(), more.end());
    model_ = std::make_unique<Standin>("realtime_server.py", folder_ + "/model.jsonl", args);
  }
  void start_gateway(const std::string& url, const json& config = json::object(), const std::string& twilio = "") {
    json all = {{"api_key", kModelKey},
                {"url", url},
                {"media_streams", {{"token", "optional"}}},
                {"greeting", "Greet the caller."},
                {"session", {{"transcription", {{"model", "whisper-1"}}},
                             {"turn_detection", {{"type", "server_vad"}, {"silence_duration_ms", 200}}}}}};
    all.merge_patch(config);
    const std::string entry = "  - {name: openai_realtime, library: openai_realtime.so, config: " + all.dump() + "}\n";
    gateway_ = std::make_unique<Gateway>(GatewayOptions{.public_url = kPublicUrl, .plugins = twilio_entry(twilio) + entry});
  }
  Gateway& gateway() { return *gateway_; }
  Journal model() const { return model_->journal(); }

  // A caller who does these steps. `more`: other options of twilio_caller.py.
  std::unique_ptr<Standin> dial(const std::vector<std::string>& steps, const std::vector<std::string>& more = {},
                                const std::string& path = kMediaStream, const std::string& call_sid = "") {
    std::vector<std::string> args{"ws://127.0.0.1:" + std::to_string(gateway_->port()) + path,
                                  "--signed-url", "wss" + std::string(kPublicUrl).substr(5) + path,
                                  "--auth-token", kToken,
                                  "--call-sid", call_sid.empty() ? call_sid_ : call_sid,
                                  "--longest-ms", "40000"};
    for (const std::string& step : steps) args.insert(args.end(), {"--do", step});
    args.insert(args.end(), more.begin(), more.end());
    return std::make_unique<Standin>("twilio_caller.py", folder_ + "/caller" + std::to_string(++callers_) + ".jsonl", args);
  }

  // What is left of a call: the body of its event, once that is handled; null where there is none.
  json completed(const std::string& call_sid) {
    eventually(kSoon, [&] {
      return gateway_->store().number("SELECT count(*) FROM event e JOIN delivery d ON d.event = e.seq WHERE d.state = 'done' AND "
                                      "e.type = 'voice.call.completed' AND e.order_key = ?", {call_sid}) > 0;
    });
    const auto rows = gateway_->store().rows("SELECT body FROM event WHERE type = 'voice.call.completed' AND order_key = ?", {call_sid});
    return rows.size() == 1 ? json::parse(rows[0][0]) : json();
  }
  json completed() { return completed(call_sid_); }
  // A call that goes as it should, for after something went wrong.
  void expect_a_good_call(const std::string& call_sid) {
    auto caller = dial({"heard:300"}, {}, kMediaStream, call_sid);
    EXPECT_EQ(caller->status(), 0);
    EXPECT_EQ(completed(call_sid)["ended_by"], "caller");
  }

  std::string folder_, call_sid_ = new_call_sid();
  std::unique_ptr<Standin> model_;
  std::unique_ptr<Gateway> gateway_;
  int callers_ = 0;
};

// Steps of a script.
inline nlohmann::json tone(int ms) { return {{"say", {{"tone_hz", 300}, {"ms", ms}}}}; }
inline nlohmann::json after(int ms, const nlohmann::json& step) { return {{"after_ms", ms}, {"do", step}}; }

}  // namespace postern::testing
