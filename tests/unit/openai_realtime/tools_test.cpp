// What the model asks for: an event, whose result goes back, while audio goes on.
#include "voice_host.h"

namespace voice_test {
namespace {

using postern::testing::ServiceAnswered;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

json with_tools() {
  json config = base_config();
  config["tools"] = {{{"name", "book"}, {"description", "Books a table."}, {"url", "https://calendar.example.com/v1/book"}, {"deadline", "5s"},
                      {"parameters", {{"type", "object"}, {"properties", {{"people", {{"type", "integer"}}}}}}}},
                     {{"name", "find"}, {"service", "calendar/1"}}};
  return config;
}

class Tools : public VoiceTest {
 protected:
  void call_tool(const std::string& name, const std::string& arguments, const std::string& id = "call_1") {
    model({{"type", "response.output_item.done"}, {"response_id", "resp_1"},
           {"item", {{"type", "function_call"}, {"id", "item_f"}, {"name", name}, {"call_id", id}, {"arguments", arguments}}}});
  }
};

TEST_F(Tools, AreOfferedToTheModel) {
  begin_call(with_tools());
  const json tools = hears_first_[0]["session"]["tools"];
  ASSERT_THAT(tools, SizeIs(3));
  EXPECT_EQ(tools[0], (json{{"type", "function"}, {"name", "book"}, {"description", "Books a table."}, {"parameters", {{"type", "object"}, {"properties", {{"people", {{"type", "integer"}}}}}}}}));
}

TEST_F(Tools, AskAnEndpoint) {
  begin_call(with_tools());
  response_created();
  call_tool("book", R"({"people":4})");
  delta("item_1");
  EXPECT_THAT(to_caller(), SizeIs(2)) << "audio goes on";
  ASSERT_THAT(host_->published(), SizeIs(1));
  EXPECT_EQ(host_->published()[0].wait_ms, 5'000u);
  host_->answer("tool-book", {.status = 200, .body = R"({"booked":true})"});
  for (const auto& settled : host_->run_published()) EXPECT_TRUE(settled.done()) << settled.why;
  ASSERT_THAT(host_->outbound(), SizeIs(1));
  EXPECT_EQ(host_->outbound()[0].method, "POST");
  EXPECT_EQ(host_->outbound()[0].url, "/v1/book");
  const json asked = json::parse(host_->outbound()[0].body);
  EXPECT_EQ(asked["arguments"]["people"], 4);
  EXPECT_EQ(asked["call_sid"], kCall);
  host_->run_wakes();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(1)) << "its response is not done yet";
  EXPECT_EQ(told[0], (json{{"type", "conversation.item.create"}, {"item", {{"type", "function_call_output"}, {"call_id", "call_1"}, {"output", R"({"booked":true})"}}}}));
  response_done();
  EXPECT_EQ(from_model().at(0)["type"], "response.create");
}

TEST_F(Tools, AskAnotherPlugin) {
  begin_call(with_tools());
  host_->serve("calendar/1", [](const auto& call) { return ServiceAnswered{.body = call.method == "find" ? "free at eight" : ""}; });
  call_tool("find", "{}");
  host_->run_published();
  host_->run_wakes();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0]["item"]["output"], "\"free at eight\"") << "what is no JSON is a JSON text";
  EXPECT_EQ(told[1]["type"], "response.create");
}

TEST_F(Tools, ThatFailSayIt) {
  begin_call(with_tools());
  host_->answer("tool-book", {.status = 500, .body = "secret inner detail"});
  call_tool("book", "{}");
  host_->run_published();
  host_->run_wakes();
  const std::string output = from_model().at(0)["item"]["output"];
  EXPECT_TRUE(json::parse(output).contains("error")) << output;
  EXPECT_THAT(output, Not(HasSubstr("inner detail")));
  host_->end(caller_);
  EXPECT_EQ(published("voice.call.completed").at(0)["tools"][0]["outcome"], "failed");
  EXPECT_EQ(host_->metric("tools_total", {"failed"}).value, 1);
}

TEST_F(Tools, ThatAreNoneAndArgumentsThatAreNoneAreRefused) {
  begin_call(with_tools());
  call_tool("unheard_of", "{}", "call_1");
  call_tool("book", "{people:", "call_2");
  call_tool("book", "[1]", "call_3");
  EXPECT_THAT(host_->published(), IsEmpty());
  auto told = from_model();
  std::vector<std::string> ids;
  for (const json& message : told) {
    if (message["type"] == "conversation.item.create") ids.push_back(message["item"]["call_id"]);
  }
  EXPECT_THAT(ids, ::testing::ElementsAre("call_1", "call_2", "call_3"));
}

TEST_F(Tools, OneResponseForSeveral) {
  begin_call(with_tools());
  host_->serve("calendar/1", [](const auto&) { return ServiceAnswered{.body = "1"}; });
  response_created();
  call_tool("find", "{}", "call_1");
  call_tool("find", "{}", "call_2");
  response_done();
  EXPECT_THAT(from_model(), IsEmpty());
  host_->run_published();
  host_->run_wakes();
  auto told = from_model();
  ASSERT_THAT(told, SizeIs(3));
  EXPECT_EQ(told[2]["type"], "response.create") << "when both have answered";
}

TEST_F(Tools, ThatAnswerAfterTheCallAreForgotten) {
  begin_call(with_tools());
  call_tool("find", "{}");
  host_->end(caller_);
  host_->serve("calendar/1", [](const auto&) { return ServiceAnswered{.body = "1"}; });
  host_->run_published();
  EXPECT_EQ(host_->run_wakes(), 0u);
}

// Attack: 64 KiB of brackets. What writes them again calls itself for each.
TEST_F(Tools, ArgumentsThatAreTooDeepAreRefused) {
  begin_call(with_tools());
  const std::string deep = R"({"a":)" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  call_tool("book", deep);
  EXPECT_THAT(host_->published(), IsEmpty());
  EXPECT_THAT(from_model().at(0)["item"]["output"].get<std::string>(), HasSubstr("the arguments are no JSON object"));
}

// What a model calls its calls must not stand for another event of the call: that one would count as a duplicate, and be lost.
TEST_F(Tools, AreEventsOfTheirOwn) {
  begin_call(with_tools());
  call_tool("book", "{}", kStream);
  host_->end(caller_);
  ASSERT_THAT(host_->published(), SizeIs(2));
  EXPECT_NE(host_->published()[0].external_id, host_->published()[1].external_id);
}

TEST_F(Tools, AResponseThatCameInBetweenIsWaitedFor) {
  begin_call(with_tools());
  host_->serve("calendar/1", [](const auto&) { return ServiceAnswered{.body = "1"}; });
  call_tool("find", "{}");
  host_->run_published();
  host_->run_wakes();
  EXPECT_THAT(from_model(), SizeIs(2));
  // The caller's turn has begun another response just before.
  model({{"type", "error"}, {"error", {{"type", "invalid_request_error"}, {"code", "conversation_already_has_active_response"}, {"message", "x"}}}});
  response_created("resp_2");
  EXPECT_THAT(from_model(), IsEmpty());
  response_done("resp_2");
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(1)) << "the answer is said after all";
  EXPECT_EQ(told[0]["type"], "response.create");
}

// A fresh session knows of no function call.
TEST_F(Tools, ThatAnswerToAnotherSessionAreToldAsAMessage) {
  begin_call(with_tools());
  host_->serve("calendar/1", [](const auto&) { return ServiceAnswered{.body = R"({"free":8})"}; });
  response_created();
  call_tool("find", "{}");
  response_done();
  host_->end(model_, {.code = 1006, .by_peer = false});
  host_->run_published();
  host_->run_wakes();
  model_ = 3;
  host_->open(model_);
  model({{"type", "session.updated"}, {"session", json::object()}});
  const auto told = from_model();
  ASSERT_THAT(told, SizeIs(3));
  EXPECT_EQ(told[0]["type"], "session.update");
  EXPECT_EQ(told[1]["item"]["type"], "message");
  EXPECT_EQ(told[1]["item"]["role"], "system");
  EXPECT_THAT(told[1]["item"]["content"][0]["text"].get<std::string>(), ::testing::AllOf(HasSubstr("find"), HasSubstr(R"({"free":8})")));
  EXPECT_EQ(told[2]["type"], "response.create");
}

}  // namespace
}  // namespace voice_test
