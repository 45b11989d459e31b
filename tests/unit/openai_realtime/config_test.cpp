// The plugin's configuration, tokens, service and health.
#include "postern/ext/health.h"
#include "postern/ext/routes.h"
#include "voice_host.h"

namespace voice_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class VoiceConfig : public VoiceTest {
 protected:
  // The faults of a configuration: "POINTER TEXT".
  std::vector<std::string> faults(const json& config) {
    FakeHost host(entry(), {.name = "openai_realtime", .foreign_schemes = {"twilio:twilio"}});
    auto started = host.start(config.dump());
    std::vector<std::string> list;
    for (const auto& fault : started.faults) list.push_back(fault.pointer + " " + fault.text);
    for (const auto& refusal : started.refusals) list.push_back("refused: " + refusal);
    return list;
  }
  json changed(const char* pointer, const json& value) {
    json config = base_config();
    config[json::json_pointer(pointer)] = value;
    return config;
  }
};

TEST_F(VoiceConfig, OneLineEachFault) {
  const std::pair<json, std::string> cases[] = {
      {json::object(), " api_key is needed (or enabled: false)"},
      {changed("/api_key", ""), "/api_key api_key is empty; leave it out where it is not wanted"},
      {changed("/api_kye", "x"), "/api_kye unknown key 'api_kye'; did you mean 'api_key'?"},
      {changed("/url", "ws://example.com/v1"), "/url url must begin with wss:// (ws:// only for this machine: the API key goes over it)"},
      {changed("/url", "ws://127.0.0.1.example.com/v1"), "/url url must begin with wss:// (ws:// only for this machine: the API key goes over it)"},
      {changed("/audio", "opus"), "/audio audio must be one of pcmu, pcm"},
      {changed("/session/turn_detection", {{"type", "vad"}}), "/session/turn_detection turn_detection must be none, or a mapping whose type is server_vad or semantic_vad"},
      {changed("/session/speed", 2), "/session/speed speed must be from 0.25 to 1.5"},
      {changed("/session/max_output_tokens", 5000), "/session/max_output_tokens max_output_tokens must be from 1 to 4096, or inf"},
      {changed("/connect_timeout", "soon"), "/connect_timeout connect_timeout must be a duration such as 1500ms, 2s, 55m or 30d"},
      {changed("/renew_after", "61m"), "/renew_after renew_after must be from 1000ms to 3540000ms"},
      {changed("/fallback", "Sorry."), "/fallback fallback must be TwiML: <Response>…</Response>"},
      {changed("/media_streams/token", "never"), "/media_streams/token token must be one of required, optional"},
      {changed("/tools", {{{"name", "a b"}, {"url", "https://h/"}}}), "/tools/0/name name must be 1 to 64 letters, digits, '_' and '-'"},
      {changed("/tools", {{{"name", "a"}}}), "/tools/0 a tool has either a url, which is asked by POST, or a service of another plugin"},
      {changed("/tools", {{{"name", "end_call"}, {"url", "https://h/"}}}), "/tools/0/name another tool has this name"},
      {changed("/costs", {{"m", {{"input_txt", 1}}}}), "/costs/m/input_txt unknown key 'input_txt'; did you mean 'input_text'?"},
      {changed("/session", 7), "/session must be a mapping"},
      {changed("/session/turn_detection", {{"type", 5}}), "/session/turn_detection turn_detection must be none, or a mapping whose type is server_vad or semantic_vad"},
      {changed("/costs", {{"org/m", {{"input_txt", 1}}}}), "/costs/org~1m/input_txt unknown key 'input_txt'; did you mean 'input_text'?"},
      {changed("/ca_file", "/nowhere/ca.pem"), "/ca_file ca_file must be a file with certificates in PEM that can be read"},
  };
  for (const auto& [config, fault] : cases) EXPECT_THAT(faults(config), ::testing::Contains(fault)) << config;
  EXPECT_THAT(faults(base_config()), IsEmpty());
}

TEST_F(VoiceConfig, NoFaultQuotesTheKey) {
  json config = base_config();
  config["api_key"] = {{"sk-nested-secret", 1}};
  for (const std::string& fault : faults(config)) EXPECT_THAT(fault, Not(HasSubstr("sk-nested")));
}

TEST_F(VoiceConfig, SwitchedOffItTakesNoCalls) {
  start({{"enabled", false}, {"media_streams", {{"signed_by", "twilio"}}}});
  EXPECT_THAT(host_->routes(), IsEmpty());
  EXPECT_EQ(host_->health().at(0).status, uint32_t{POSTERN_CONFIGURED});
}

TEST_F(VoiceConfig, WithoutMediaStreamsThereIsNoRoute) {
  json config = base_config();
  config.erase("media_streams");
  start(config);
  EXPECT_THAT(host_->routes(), IsEmpty());
}

TEST_F(VoiceConfig, TheRoutesAreSignedByTwilio) {
  start();
  ASSERT_THAT(host_->routes(), SizeIs(2));
  for (const auto& route : host_->routes()) {
    EXPECT_EQ(route.kind, uint32_t{POSTERN_ROUTE_WEBSOCKET});
    EXPECT_EQ(route.schemes.at(0).first, "twilio:twilio");
    EXPECT_EQ(route.flags & POSTERN_ROUTE_UNSIGNED, 0u);
  }
  EXPECT_EQ(host_->routes()[0].path, "/api/v1/voice/media-stream");
  EXPECT_EQ(host_->routes()[1].path, "/api/calls/{call_id}/ws/twilio-media");
}

class Token : public VoiceTest {
 protected:
  void start_strict() {
    json config = base_config();
    config["media_streams"]["token"] = "required";
    start(config);
  }
  std::string token(const std::string& call = kCall) {
    auto answered = host_->call_service("postern.voice/1", "token", json({{"call_sid", call}}).dump());
    EXPECT_TRUE(answered.ok()) << answered.error;
    return json::parse(answered.body)["token"];
  }
  // Whether a stream with this token becomes a call.
  bool taken(const std::string& given, const std::string& call = kCall, const std::string& target = "/api/v1/voice/media-stream") {
    const size_t before = host_->sessions().size();
    const size_t stream = open_stream(target);
    host_->receive(stream, start_message(given.empty() ? json::object() : json{{"token", given}}, call).dump());
    const bool called = host_->sessions().size() == before + 2;
    EXPECT_EQ(closed(stream), !called);
    host_->end(stream);
    return called;
  }
};

TEST_F(Token, IsGoodOnceAndForItsCall) {
  start_strict();
  const std::string first = token(), second = token();
  EXPECT_NE(first, second);
  EXPECT_FALSE(taken("", kCall)) << "without one";
  EXPECT_FALSE(taken(first, "CAffffffffffffffffffffffffffffffff")) << "another call";
  EXPECT_TRUE(taken(first));
  EXPECT_FALSE(taken(first)) << "a second time";
  EXPECT_TRUE(taken(second));
}

TEST_F(Token, MayBeThePath) {
  start_strict();
  EXPECT_TRUE(taken("", kCall, "/api/calls/" + token() + "/ws/twilio-media"));
  EXPECT_FALSE(taken("", kCall, "/api/calls/42/ws/twilio-media"));
  EXPECT_TRUE(taken(token(), kCall, "/api/calls/42/ws/twilio-media"));
}

TEST_F(Token, ThatIsForgedIsNone) {
  start_strict();
  const std::string good = token();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == '1' ? '2' : '1';
    EXPECT_FALSE(taken(bad)) << "character " << i;
  }
  for (const std::string& bad : {good + "0", good.substr(1), std::string("x"), std::string("xx"), std::string(5'000, 'x'), good.substr(0, good.rfind('x') + 1)}) {
    EXPECT_FALSE(taken(bad)) << bad;
  }
  EXPECT_TRUE(taken(good)) << "none of them has used it up";
}

TEST_F(Token, IsAskedForRightly) {
  start_strict();
  EXPECT_FALSE(host_->call_service("postern.voice/1", "token", "{}").ok());
  EXPECT_FALSE(host_->call_service("postern.voice/1", "token", "[").ok());
  EXPECT_FALSE(host_->call_service("postern.voice/1", "nothing", "{}").ok());
}

}  // namespace
}  // namespace voice_test
