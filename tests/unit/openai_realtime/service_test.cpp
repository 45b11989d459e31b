// The service postern.voice/1: a session without a phone call, for other plugins.
#include <thread>

#include "voice_host.h"

namespace voice_test {
namespace {

using postern::testing::ServiceAnswered;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class VoiceService : public VoiceTest {
 protected:
  ServiceAnswered ask(const std::string& method, const json& request = json::object(), milliseconds deadline = milliseconds(3'000)) {
    return host_->call_service("postern.voice/1", method, request.dump(), deadline);
  }
  // connect() waits, so the model answers meanwhile, on the session's thread: this one.
  std::string connect(const json& request = json::object(), bool sets_up = true, const json& config = base_config()) {
    start(config);
    ServiceAnswered answered;
    std::thread other([&] { answered = ask("connect", request); });
    while (host_->sessions().empty()) std::this_thread::sleep_for(milliseconds(1));
    caller_ = model_ = 1;
    host_->open(1);
    hears_first_ = from_model();
    if (sets_up) {
      model({{"type", "session.updated"}, {"session", json::object()}});
    } else {
      model({{"type", "error"}, {"error", {{"type", "invalid_request_error"}, {"code", "invalid_model"}, {"message", "no"}}}});
      host_->end(1, {.code = 1000});
    }
    other.join();
    error_ = answered.error;
    return answered.ok() ? json::parse(answered.body)["session_id"].get<std::string>() : "";
  }
  std::string error_;
};

TEST_F(VoiceService, SaysClearlyThatItIsNotConnected) {
  start();
  for (const char* method : {"send_audio_pcm16", "send_pcm16", "commit_audio", "create_response", "events"}) {
    const ServiceAnswered answered = ask(method, {{"session_id", "vs_none"}, {"audio", "AAA="}});
    EXPECT_FALSE(answered.ok()) << method;
    EXPECT_THAT(answered.error, HasSubstr("not connected")) << method;
  }
  EXPECT_TRUE(ask("close", {{"session_id", "vs_none"}}).ok()) << "closing is fine";
}

TEST_F(VoiceService, TalksToTheModel) {
  const std::string id = connect({{"voice", "cedar"}});
  ASSERT_FALSE(id.empty()) << error_;
  EXPECT_EQ(hears_first_[0]["session"]["audio"]["input"]["format"], (json{{"type", "audio/pcm"}, {"rate", 24000}}));
  EXPECT_EQ(hears_first_[0]["session"]["audio"]["output"]["voice"], "cedar");
  EXPECT_TRUE(ask("send_audio_pcm16", {{"session_id", id}, {"audio", "AAAA/w=="}}).ok());
  EXPECT_TRUE(ask("send_pcm16", {{"session_id", id}, {"audio", "AAA="}}).ok());
  EXPECT_TRUE(ask("commit_audio", {{"session_id", id}}).ok());
  EXPECT_TRUE(ask("create_response", {{"session_id", id}, {"instructions", "Be kind."}}).ok());
  host_->run_wakes();
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(4));
  EXPECT_EQ(told[0], (json{{"type", "input_audio_buffer.append"}, {"audio", "AAAA/w=="}}));
  EXPECT_EQ(told[2]["type"], "input_audio_buffer.commit");
  EXPECT_EQ(told[3]["response"]["instructions"], "Be kind.");
  ASSERT_TRUE(ask("events", {{"session_id", id}}).ok());
  model({{"type", "response.output_audio.delta"}, {"delta", "AAA="}});
  const json events = json::parse(ask("events", {{"session_id", id}}).body);
  ASSERT_THAT(events["events"], SizeIs(1));
  EXPECT_EQ(events["events"][0]["delta"], "AAA=");
  EXPECT_EQ(events["open"], true);
  EXPECT_TRUE(ask("close", {{"session_id", id}}).ok());
  EXPECT_TRUE(ask("close", {{"session_id", id}}).ok()) << "twice";
  host_->run_wakes();
  EXPECT_TRUE(closed(1));
  EXPECT_THAT(ask("commit_audio", {{"session_id", id}}).error, HasSubstr("not connected"));
}

TEST_F(VoiceService, IsOfTheOrganizationAndTheProject) {
  json config = base_config();
  config["organization"] = "org-1";
  config["project"] = "proj_1";
  connect(json::object(), true, config);
  EXPECT_THAT(session(1).headers, ::testing::IsSupersetOf({std::pair<std::string, std::string>("OpenAI-Organization", "org-1"), {"OpenAI-Project", "proj_1"}}));
}

TEST_F(VoiceService, RefusesAudioThatIsNone) {
  const std::string id = connect();
  for (const char* audio : {"", "!", "AA==", "AAAA"}) {  // "AA==": one byte; "AAAA": three
    EXPECT_FALSE(ask("send_pcm16", {{"session_id", id}, {"audio", audio}}).ok()) << audio;
  }
  host_->run_wakes();
  EXPECT_THAT(from_model(), IsEmpty());
}

TEST_F(VoiceService, SaysWhyASessionWasRefused) {
  EXPECT_EQ(connect(json::object(), false), "");
  EXPECT_THAT(error_, HasSubstr("invalid_model"));
}

TEST_F(VoiceService, WaitsForEvents) {
  const std::string id = connect();
  ask("events", {{"session_id", id}});
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(30));
    host_->receive(1, R"({"type":"response.done","response":{}})");
  });
  const json events = json::parse(ask("events", {{"session_id", id}, {"wait_ms", 3'000}}).body);
  other.join();
  ASSERT_THAT(events["events"], SizeIs(1)) << "waited for";
  EXPECT_EQ(events["events"][0]["type"], "response.done");
}

TEST_F(VoiceService, DropsTheOldestOfWhatNobodyFetches) {
  const std::string id = connect();
  ask("events", {{"session_id", id}});
  for (int i = 0; i < 100; ++i) host_->receive(1, R"({"type":"response.output_audio.delta","n":)" + std::to_string(i) + R"(,"delta":")" + std::string(100'000, 'A') + "\"}");
  const json events = json::parse(ask("events", {{"session_id", id}}).body);
  EXPECT_GT(events["dropped"], 10);
  EXPECT_EQ(events["events"][0]["n"], events["dropped"]) << "the oldest";
}

TEST_F(VoiceService, EndsWhenTheModelGoes) {
  const std::string id = connect();
  host_->end(1, {.code = 1011, .reason = "server error"});
  const ServiceAnswered answered = ask("create_response", {{"session_id", id}});
  EXPECT_THAT(answered.error, HasSubstr("not connected"));
  EXPECT_EQ(json::parse(ask("events", {{"session_id", id}}).body)["open"], false);
}

// The host closes a session whose peer takes too little: what is sent fast waits here instead.
TEST_F(VoiceService, HoldsBackWhatTheModelDoesNotTakeYet) {
  const std::string id = connect();
  auto speak = [&] { return ask("send_pcm16", {{"session_id", id}, {"audio", std::string(700'000, 'A')}}).ok(); };
  EXPECT_TRUE(speak());
  EXPECT_TRUE(speak());
  host_->run_wakes();
  host_->set_buffered(1, 700'000);
  EXPECT_TRUE(speak());
  host_->run_wakes();
  EXPECT_LE(from_model().size(), 2u);
  EXPECT_THAT(from_model(), IsEmpty()) << "the first ones wait at the host";
  for (int i = 0; i < 10 && speak(); ++i) host_->run_wakes();
  EXPECT_FALSE(speak()) << "and not for ever";
  EXPECT_FALSE(closed(1));
  host_->set_buffered(1, 0);
  host_->writable(1);
  EXPECT_THAT(from_model(), ::testing::Not(IsEmpty()));
}

}  // namespace
}  // namespace voice_test
