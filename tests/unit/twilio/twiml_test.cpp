// The answer to an incoming call, read back with an XML parser.
#include <Poco/AutoPtr.h>
#include <Poco/DOM/DOMParser.h>
#include <Poco/DOM/Document.h>
#include <Poco/DOM/Element.h>
#include <Poco/DOM/NodeList.h>
#include <gmock/gmock.h>

#include "tests/unit/twilio/twilio_host.h"

namespace twilio_test {
namespace {

constexpr const char* kPath = "/api/v1/webhooks/incoming-call";
constexpr const char* kReplacement = "\xEF\xBF\xBD";

// What Twilio reads in a document.
struct Answer {
  std::vector<std::string> elements;  // in document order
  std::string say, url;
  Fields parameters;
};

Answer parse(const std::string& document) {
  Poco::XML::DOMParser parser;
  Poco::AutoPtr<Poco::XML::Document> dom = parser.parseString(document);
  Poco::AutoPtr<Poco::XML::NodeList> all = dom->getElementsByTagName("*");
  Answer answer;
  for (unsigned long i = 0; i < all->length(); ++i) {
    auto* element = static_cast<Poco::XML::Element*>(all->item(i));
    answer.elements.push_back(element->nodeName());
    if (element->nodeName() == "Say") answer.say = element->innerText();
    if (element->nodeName() == "Stream") answer.url = element->getAttribute("url");
    if (element->nodeName() == "Parameter")
      answer.parameters.emplace_back(element->getAttribute("name"), element->getAttribute("value"));
  }
  return answer;
}

Answer answer_to(Host& host, const Fields& fields, std::vector<std::string> urls = {}, const std::string& target = kPath) {
  auto replied = host.reply(
      {.target = target, .headers = {{"Content-Type", kForm}}, .body = to_form(fields), .urls = std::move(urls)});
  EXPECT_EQ(replied.status, 200u) << replied.error;
  EXPECT_EQ(replied.header("content-type"), "text/xml");
  EXPECT_TRUE(replied.body.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")) << replied.body;
  return parse(replied.body);
}

TEST(TwiML, ConnectsTheCallToTheStream) {
  Host host;
  Answer answer = answer_to(host, {{"To", "+14155550100"}, {"From", "+14155550123"}, {"CallSid", "CA1"}});
  EXPECT_EQ(answer.elements, (std::vector<std::string>{"Response", "Connect", "Stream", "Parameter", "Parameter", "Parameter"}));
  EXPECT_EQ(answer.url, "wss://hooks.example.org/api/v1/voice/media-stream");
  EXPECT_EQ(answer.parameters, (Fields{{"From", "+14155550123"}, {"To", "+14155550100"}, {"CallSid", "CA1"}}));
}

TEST(TwiML, GreetsFirst) {
  Host host(json{{"auth_tokens", {kToken}}, {"greeting", "<Hello> & \"welcome\" \x01to ]]> Zo\xC3\xAB"}}.dump());
  Answer answer = answer_to(host, {{"CallSid", "CA1"}});
  EXPECT_EQ(answer.elements.at(1), "Say");
  EXPECT_EQ(answer.elements.at(2), "Connect");
  EXPECT_EQ(answer.say, "<Hello> & \"welcome\" to ]]> Zo\xC3\xAB");
}

TEST(TwiML, AbsentParametersAreEmpty) {
  Host host;
  EXPECT_EQ(answer_to(host, {{"CallSid", "CA1"}}).parameters, (Fields{{"From", ""}, {"To", ""}, {"CallSid", "CA1"}}));
  EXPECT_EQ(answer_to(host, {}).parameters, (Fields{{"From", ""}, {"To", ""}, {"CallSid", ""}}));
}

TEST(TwiML, TheStreamIsBesideThePublicUrl) {
  for (auto [public_url, base] : {std::pair("https://h.example", "wss://h.example"),
                                  std::pair("https://h.example/", "wss://h.example"),
                                  std::pair("http://h.example:8080", "wss://h.example:8080"),
                                  std::pair("wss://h.example//", "wss://h.example"),
                                  std::pair("ws://h.example/", "wss://h.example"),
                                  std::pair("h.example", "wss://h.example"),
                                  std::pair("h.example:8443/", "wss://h.example:8443"),
                                  std::pair("HTTPS://H.Example/prefix/", "wss://H.Example/prefix"),
                                  std::pair("https://[2001:db8::1]:8443/p", "wss://[2001:db8::1]:8443/p"),
                                  std::pair("https://user:p@h.example/a@b", "wss://h.example/a@b")}) {
    Host host(kConfig, public_url);
    // What a proxy says does not count beside it.
    EXPECT_EQ(answer_to(host, {}, {"https://other.example" + std::string(kPath)}).url,
              base + std::string("/api/v1/voice/media-stream"))
        << public_url;
  }
}

TEST(TwiML, WithoutAPublicUrlTheRequestsOwn) {
  Host host(kConfig, "", true);
  const std::string path = kPath;
  EXPECT_EQ(answer_to(host, {}, {"https://h.example" + path, "https://other.example" + path}).url,
            "wss://h.example/api/v1/voice/media-stream");
  EXPECT_EQ(answer_to(host, {}, {"http://h.example:81/prefix" + path + "?a=/b"}, path + "?a=/b").url,
            "wss://h.example:81/prefix/api/v1/voice/media-stream");
  EXPECT_EQ(answer_to(host, {}, {"https://h.example/api/v1/webhooks/incoming%2Dcall?x"}).url,
            "wss://h.example/api/v1/voice/media-stream");
  auto replied = host.reply({.target = kPath, .headers = {{"Content-Type", kForm}}, .body = "CallSid=CA1"});
  EXPECT_EQ(replied.status, 500u);
  EXPECT_THAT(replied.error, ::testing::HasSubstr("gateway.public_url"));
}

struct Hostile {
  std::string given, expected;
};

std::vector<Hostile> hostile_texts() {
  std::string four_kib;
  for (int i = 0; i < 1024; ++i) four_kib += "<&\"'";
  return {{"\"/><Say>owned</Say><x y=\"", "\"/><Say>owned</Say><x y=\""},
          {"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
           "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;"},
          {"]]>&amp;&#0;&lt;<![CDATA[", "]]>&amp;&#0;&lt;<![CDATA["},
          {"--><!-- '", "--><!-- '"},
          {std::string("a\0b", 3), "ab"},
          {"a\x01\x08\x0b\x0c\x1f\x7f" "b", "a\x7f" "b"},
          {"tab\tline\r\nend", "tab\tline\r\nend"},
          {"\xEF\xBF\xBF\xEF\xBF\xBE|\xEF\xBF\xBC", "|\xEF\xBF\xBC"},                                    // U+FFFF, U+FFFE
          {"a\xFF" "b\xC3", "a" + std::string(kReplacement) + "b" + kReplacement},                       // broken UTF-8
          {"\xED\xA0\x80", std::string(kReplacement) + kReplacement + kReplacement},                     // a surrogate
          {"\xC0\xBC", std::string(kReplacement) + kReplacement},                                        // '<', overlong
          {"\xE0\x80\xBC", std::string(kReplacement) + kReplacement + kReplacement},
          {"\xF0\x80\x80\xBC", std::string(kReplacement) + kReplacement + kReplacement + kReplacement},
          {"\xF4\x90\x80\x80", std::string(kReplacement) + kReplacement + kReplacement + kReplacement},  // beyond U+10FFFF
          {"\xF0\x9F\x98\x80 \xC3\xA9 \xC2\x85", "\xF0\x9F\x98\x80 \xC3\xA9 \xC2\x85"},
          {four_kib, four_kib}};
}

TEST(TwiML, HostileTextInEveryField) {
  Host host;
  const std::vector<std::string> elements = {"Response", "Connect", "Stream", "Parameter", "Parameter", "Parameter"};
  for (const Hostile& text : hostile_texts()) {
    for (size_t field = 0; field < 3; ++field) {
      Fields fields = {{"From", "f"}, {"To", "t"}, {"CallSid", "c"}}, expected = fields;
      fields[field].second = text.given;
      expected[field].second = text.expected;
      Answer answer = answer_to(host, fields);
      EXPECT_EQ(answer.elements, elements) << text.given;
      EXPECT_EQ(answer.parameters, expected) << text.given;
    }
  }
}

TEST(TwiML, HostileTextInAGreeting) {
  for (const Hostile& text : hostile_texts()) {
    json given = {{"auth_tokens", {kToken}}, {"greeting", text.given}};
    std::string config = given.dump(-1, ' ', false, json::error_handler_t::replace);
    if (config.find(kReplacement) != config.npos) continue;  // no JSON text can hold it
    Host host(config);
    Answer answer = answer_to(host, {});
    EXPECT_EQ(answer.elements.size(), 7u);
    std::string expected = text.expected;
    if (size_t end = expected.find("\r\n"); end != expected.npos) expected.erase(end, 1);  // XML 1.0, section 2.11
    EXPECT_EQ(answer.say, expected) << text.given;
  }
}

// Every byte, alone and between others: the document is always well-formed.
TEST(TwiML, EveryByte) {
  Host host;
  for (int byte = 0; byte < 256; ++byte) {
    std::string text = {'a', static_cast<char>(byte), 'b'};
    Answer answer = answer_to(host, {{"From", text}, {"To", text.substr(1, 1)}});
    EXPECT_EQ(answer.parameters.size(), 3u) << byte;
    EXPECT_EQ(answer.parameters[0].second.front(), 'a') << byte;
    EXPECT_EQ(answer.parameters[0].second.back(), 'b') << byte;
  }
}

// ---- the token of the stream

constexpr const char* kCallSid = "CA0123456789abcdef0123456789abcdef";

postern::testing::Replied ask(Host& host) {
  return host.reply({.target = kPath, .headers = {{"Content-Type", kForm}}, .body = to_form({{"CallSid", kCallSid}})});
}

TEST(TwilioStream, CarriesTheTokenOfWhoAnswersIt) {
  Host host;
  ASSERT_EQ(host.wanted_services().size(), 1u);
  EXPECT_EQ(host.wanted_services()[0].name, "postern.voice/1");
  EXPECT_FALSE(host.wanted_services()[0].required);
  EXPECT_EQ(parse(ask(host).body).parameters.size(), 3u) << "nobody answers streams here";
  EXPECT_TRUE(host.service_calls().empty());
  host.serve("postern.voice/1", [](const auto&) { return postern::testing::ServiceAnswered{.body = R"({"token":"t0k&<n"})"}; });
  auto replied = ask(host);
  ASSERT_EQ(replied.status, 200u) << replied.error;
  EXPECT_EQ(parse(replied.body).parameters, (Fields{{"From", ""}, {"To", ""}, {"CallSid", kCallSid}, {"token", "t0k&<n"}}));
  ASSERT_EQ(host.service_calls().size(), 1u);
  EXPECT_EQ(host.service_calls()[0].method, "token");
  EXPECT_EQ(json::parse(host.service_calls()[0].request), (json{{"call_sid", kCallSid}}));
  EXPECT_EQ(host.service_calls()[0].deadline_ms, 1000u);
}

TEST(TwilioStream, WithoutItsTokenNobodyIsConnected) {
  Host host;
  auto refused = [&](postern::testing::ServiceAnswered answer) {
    host.serve("postern.voice/1", [answer](const auto&) { return answer; });
    auto replied = ask(host);
    EXPECT_EQ(replied.status, 500u);
    EXPECT_FALSE(replied.sent);
    EXPECT_EQ(replied.body, "");
    return replied.error;  // what the gateway logs
  };
  EXPECT_EQ(refused({.status = POSTERN_RETRY, .error = "full"}), "no token for the stream: full");
  EXPECT_EQ(refused({.status = POSTERN_E_TIMEOUT, .error = "late"}), "no token for the stream: late");
  for (const char* body : {"", "[]", "{}", "{\"token\":7}", "{\"token\":null}"}) {
    EXPECT_EQ(refused({.body = body}), "no token for the stream: the answer of postern.voice/1 has none") << body;
  }
  for (const std::string& token : {std::string(), std::string("a b"), std::string("hunter2\xC3\xA9"), std::string(401, 'x')}) {
    EXPECT_EQ(refused({.body = json{{"token", token}}.dump()}),
              "no token for the stream: that of postern.voice/1 is not 1 to 400 characters of printable ASCII");
  }
}

TEST(TwilioStream, PathIsConfigured) {
  Host host(R"({"auth_tokens":["12345"],"stream_path":"/calls/stream"})", "https://h.example:8443/prefix");
  EXPECT_EQ(parse(ask(host).body).url, "wss://h.example:8443/prefix/calls/stream");
}

}  // namespace
}  // namespace twilio_test
