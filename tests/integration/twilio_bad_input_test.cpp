// What is no request of Twilio's, and what would harm the gateway or the caller if it were taken.
#include <Poco/AutoPtr.h>
#include <Poco/DOM/DOMParser.h>
#include <Poco/DOM/Document.h>
#include <Poco/DOM/Element.h>
#include <Poco/DOM/NodeList.h>

#include <string>
#include <vector>

#include "tests/integration/twilio_gateway.h"

namespace postern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A form of `count` parameters, a CallSid among them.
Form large_form(size_t count) {
  Form form = {{"CallSid", new_call_sid()}};
  while (form.size() < count) form.emplace_back("p" + std::to_string(form.size()), "v");
  return form;
}

// The value of a parameter of the stream. Throws Poco::Exception when the document is not well-formed.
std::string parameter_of(const Response& response, const std::string& name) {
  Poco::XML::DOMParser parser;
  Poco::AutoPtr<Poco::XML::Document> document = parser.parseString(response.body);
  Poco::AutoPtr<Poco::XML::NodeList> all = document->getElementsByTagName("*");
  EXPECT_EQ(all->length(), 6u) << "Response, Connect, Stream and three Parameters: " << response.body;
  for (unsigned long i = 0; i < all->length(); ++i) {
    auto* element = static_cast<Poco::XML::Element*>(all->item(i));
    if (element->getAttribute("name") == name) return element->getAttribute("value");
  }
  ADD_FAILURE() << "no " << name << ": " << response.body;
  return "";
}

class TwilioBadInputTest : public TwilioTest {};

TEST_F(TwilioBadInputTest, OneAnswerToEveryBadSignature) {
  const Form form = call_form(new_call_sid());
  const std::string body = form_body(form);
  const std::string right = twilio_signature(kToken, std::string(kPublicUrl) + kIncomingCall, form);
  const std::string wrong = twilio_signature("another token", std::string(kPublicUrl) + kIncomingCall, form);
  std::string lower = right;
  for (char& c : lower) c = static_cast<char>(std::tolower(c));
  std::vector<Headers> bad = {{}};
  for (const std::string& text : std::vector<std::string>{
           wrong, "", "=", right.substr(1), right.substr(0, 27), right + "=", right + right, right + ", " + right,
           lower, std::string(28, 'A'), std::string(4000, 'A'), "sha1=" + right, hex(hmac_sha256(kToken, body))}) {
    bad.push_back({{"X-Twilio-Signature", text}});
  }
  bad.push_back({{"X-Twilio-Signature", right}, {"x-twilio-signature", right}});
  bad.push_back({{"X-Twilio-Signature", wrong}, {"X-Twilio-Signature", right}});
  bad.push_back({{"Authorization", "Basic " + right}});
  std::string answer;
  EXPECT_TRUE(stores_nothing([&] {
    for (const Headers& headers : bad) {
      for (const char* target : {kIncomingCall, kCallStatus}) {
        const Response response = post_form(gateway(), target, body, headers);
        const std::string what = headers.empty() ? "none" : headers[0].second;
        EXPECT_EQ(response.status, 401) << what;
        if (answer.empty()) answer = response.body;
        EXPECT_EQ(response.body, answer) << what << ": the same for every cause";
      }
    }
  }));
  EXPECT_THAT(gateway().log(), Not(HasSubstr(kToken)));
  EXPECT_THAT(gateway().log(), Not(HasSubstr(right)));
}

TEST_F(TwilioBadInputTest, WhatWasSignedCannotBeChanged) {
  const Form form = call_form(new_call_sid());
  const Headers headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
  EXPECT_TRUE(stores_nothing([&] {
    for (size_t i = 0; i < form.size(); ++i) {
      Form changed = form, renamed = form, left_out = form;
      changed[i].second += "0";
      renamed[i].first += "x";
      left_out.erase(left_out.begin() + static_cast<std::ptrdiff_t>(i));
      for (const Form& altered : {changed, renamed, left_out}) {
        EXPECT_EQ(post_form(gateway(), kIncomingCall, form_body(altered), headers).status, 401) << form[i].first;
      }
    }
    Form more = form;
    more.emplace_back("Extra", "1");
    EXPECT_EQ(post_form(gateway(), kIncomingCall, form_body(more), headers).status, 401);
    EXPECT_EQ(post_form(gateway(), kCallStatus, form_body(form), headers).status, 401) << "for the other address";
    EXPECT_EQ(post_form(gateway(), std::string(kIncomingCall) + "?x=1", form_body(form), headers).status, 401);
    EXPECT_EQ(post_form(gateway(), kIncomingCall, "", headers).status, 401);
  }));
}

TEST(TwilioRejectStatusTest, ReplacesThe401) {
  Gateway gateway({.public_url = kPublicUrl, .plugins = twilio_entry("", "reject_status: 403")});
  const Form form = call_form(new_call_sid());
  EXPECT_EQ(post_form(gateway, kIncomingCall, form_body(form), {}).status, 403);
  EXPECT_EQ(call(gateway, kIncomingCall, form, kPublicUrl, "another token").status, 403);
  EXPECT_EQ(call(gateway, kCallStatus, form, kPublicUrl, "another token").status, 401)
      << "the other route's is its own";
  EXPECT_EQ(call(gateway, kIncomingCall, form).status, 200);
}

TEST_F(TwilioBadInputTest, WithoutACallThereIsNothingToAnswer) {
  EXPECT_TRUE(stores_nothing([&] {
    for (const char* target : {kIncomingCall, kCallStatus}) {
      for (const Form& form :
           {Form{{"From", "+1"}}, Form{{"CallSid", ""}, {"CallStatus", "ringing"}}, Form{{"callsid", "CA1"}}}) {
        EXPECT_EQ(call(gateway(), target, form).status, 422) << target << " " << form_body(form);
      }
      EXPECT_EQ(post_form(gateway(), target, "", sign_twilio(kToken, kPublicUrl + std::string(target))).status, 422);
    }
  }));
}

TEST_F(TwilioBadInputTest, OtherContentTypes) {
  const std::string json = R"({"CallSid":"CA1"})";
  const Form form = call_form(new_call_sid());
  EXPECT_TRUE(stores_nothing([&] {
    for (const std::string type :
         {"text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx", ""}) {
      Headers headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
      headers.emplace_back("Content-Type", type);
      EXPECT_EQ(gateway().request("POST", kIncomingCall, headers, form_body(form)).status, 415) << type;
    }
    // Signed as Twilio signs JSON: right, but nothing that this route takes.
    const std::string target = std::string(kIncomingCall) +
                               "?bodySHA256="
                               "85264246de8d570722726062407cde49dc5bb2c2569c179765b178e3ffe30825";
    Headers headers = sign_twilio(kToken, kPublicUrl + target);
    headers.emplace_back("Content-Type", "application/json");
    EXPECT_EQ(gateway().request("POST", target, headers, json).status, 415);
    headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
    headers.emplace_back("Content-Encoding", "gzip");
    EXPECT_EQ(post_form(gateway(), kIncomingCall, form_body(form), headers).status, 415);
  }));
  Headers headers = sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall, form);
  headers.emplace_back("Content-Type", "Application/X-WWW-Form-URLEncoded; charset=UTF-8");
  EXPECT_EQ(gateway().request("POST", kIncomingCall, headers, form_body(form)).status, 200);
}

TEST_F(TwilioBadInputTest, OtherMethods) {
  const Response response =
      gateway().request("GET", kIncomingCall, sign_twilio(kToken, std::string(kPublicUrl) + kIncomingCall));
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.header("Allow"), "POST");
}

TEST_F(TwilioBadInputTest, AThousandParametersAndNoMore) {
  const Form most = large_form(1000);
  EXPECT_EQ(call(gateway(), kIncomingCall, most).status, 200);
  EXPECT_EQ(events_with(most[0].second), 1);
  EXPECT_TRUE(stores_nothing([&] {
    for (const char* target : {kIncomingCall, kCallStatus}) {
      for (const size_t count : {1001u, 10'000u}) {
        const Form form = large_form(count);
        EXPECT_EQ(call(gateway(), target, form).status, 422) << target << " " << count << ": signed";
        EXPECT_EQ(post_form(gateway(), target, form_body(form), {}).status, 401)
            << target << " " << count << ": unsigned";
        EXPECT_EQ(call(gateway(), target, form, kPublicUrl, "another token").status, 401)
            << target << " " << count << ": forged";
      }
      // Ten thousand of one name, and such as are empty.
      EXPECT_EQ(call(gateway(), target, Form(10'000, {"CallSid", "CA1"})).status, 422);
    }
  }));
}

TEST_F(TwilioBadInputTest, TextThatIsNotUtf8) {
  EXPECT_TRUE(stores_nothing([&] {
    for (const std::string text : {"\xff", "caf\xe9", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
      for (const char* target : {kIncomingCall, kCallStatus}) {
        EXPECT_EQ(call(gateway(), target, call_form(new_call_sid(), {{"CallerName", text}})).status, 422) << hex(text);
        EXPECT_EQ(call(gateway(), target, call_form(new_call_sid(), {{text, "x"}})).status, 422)
            << hex(text) << " as name";
      }
    }
  }));
}

// What reaches the document is text, never a tag: a caller's name could otherwise forward the call to a paid number.
TEST_F(TwilioBadInputTest, TextThatWouldBreakXml) {
  const std::string evil = R"("/><Dial>+1900</Dial><!-- ]]> &amp; &bad; 'x' <?pi?> %3c )";
  for (const std::string& text :
       std::vector<std::string>{evil, "<", "&", "\"", "'", "]]>", "&#0;", "&#x41;", "<![CDATA[x]]>",
                                "caf\xc3\xa9 \xf0\x9f\x93\x9e", " blanks  "}) {
    Form form = call_form(new_call_sid() + text);
    for (auto& [name, value] : form) {
      if (name != "CallSid") value = text;
    }
    const Response response = call(gateway(), kIncomingCall, form);
    ASSERT_EQ(response.status, 200) << text << response.body;
    EXPECT_EQ(parameter_of(response, "From"), text);
    EXPECT_EQ(parameter_of(response, "To"), text);
    EXPECT_EQ(parameter_of(response, "CallSid"), form[2].second);
    EXPECT_THAT(response.body, Not(HasSubstr("<Dial")));
  }
}

// XML 1.0 has no way to write these at all.
TEST_F(TwilioBadInputTest, CharactersThatXmlForbidsAreDropped) {
  std::string text = "a";
  for (char c = 1; c < 32; ++c) {
    if (c != '\t' && c != '\n' && c != '\r') text += c;
  }
  text += std::string(1, '\0') + "\xef\xbf\xbe\xef\xbf\xbf" + "b";
  const Response response =
      call(gateway(), kIncomingCall, {{"CallSid", new_call_sid()}, {"From", text}, {"To", "a\tb\nc\rd"}});
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(parameter_of(response, "From"), "ab");
  EXPECT_EQ(parameter_of(response, "To"), "a\tb\nc\rd") << "escaped, or a parser makes blanks of them";
  EXPECT_EQ(call(gateway(), kIncomingCall, {{"CallSid", "CA\x01"}}).status, 422) << "in an id they are refused";
}

TEST_F(TwilioBadInputTest, BodiesThatAreTooLarge) {
  constexpr size_t kLimit = 256 * 1024;
  const std::string sid = new_call_sid();
  Form form = {{"CallSid", sid}, {"Pad", ""}};
  form[1].second.assign(kLimit - form_body(form).size(), 'x');
  ASSERT_EQ(form_body(form).size(), kLimit);
  EXPECT_EQ(call(gateway(), kIncomingCall, form).status, 200);
  EXPECT_EQ(events_with(sid), 1);
  EXPECT_TRUE(stores_nothing([&] {
    form[0].second = new_call_sid();
    form[1].second += 'x';
    EXPECT_EQ(call(gateway(), kIncomingCall, form).status, 413);
    EXPECT_EQ(call(gateway(), kCallStatus, form).status, 413);
  }));
}

}  // namespace
}  // namespace postern::testing
