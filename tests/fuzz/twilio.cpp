// Twilio's signature: the plugin itself, in a host of the SDK's, beside a signer of our own, written after the provider's documentation.
// Input: a line with the URL, a line with the Content-Type, a line with a signature; the rest is the body.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/http/form.h"
#include "plugins/twilio/message.h"
#include "plugins/twilio/text.h"
#include "postern/testing/fake_host.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using testing::FakeHost;
using testing::Request;

constexpr std::string_view kToken = "S3cret-tok3n";  // not what a digest in hexadecimal digits could spell
constexpr const char* kForm = "application/x-www-form-urlencoded";

FakeHost& host() {
  static FakeHost* const started = [] {
    auto* host = new FakeHost(postern_entry, {.name = "twilio", .public_url = "https://hooks.example.org"});
    EXPECT(host->start(R"({"auth_tokens":["S3cret-tok3n"]})").ok());
    return host;
  }();
  return *started;
}

std::string parameters_of(const http::Form& form) {
  std::map<std::string, std::set<std::string>> sorted;
  for (const auto& [name, value] : form) sorted[name].insert(value);
  std::string text;
  for (const auto& [name, values] : sorted) {
    for (const std::string& value : values) text += name + value;
  }
  return text;
}

std::string sign(const std::string& message) {
  unsigned char mac[20];
  HMAC(EVP_sha1(), kToken.data(), static_cast<int>(kToken.size()), reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac, nullptr);
  unsigned char text[29];
  EVP_EncodeBlock(text, mac, sizeof mac);
  return reinterpret_cast<const char*>(text);
}

bool accepts(const Request& request) {
  const auto in_service = host().verify("twilio", request, {}, 0, false);
  const auto explained = host().verify("twilio", request);
  EXPECT_THAT(in_service.status == explained.status, request.body);
  EXPECT_THAT(in_service.status == POSTERN_OK || in_service.status == POSTERN_E_DENIED, in_service.error);
  for (const std::string& line : explained.lines) {
    EXPECT_THAT(line.find(kToken) == std::string::npos, line);
    EXPECT(std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  }
  EXPECT_THAT(host().misuses().empty(), host().misuses().empty() ? "" : host().misuses()[0]);
  return in_service.genuine();
}

std::string target_of(const std::string& url) {
  const size_t path = url.find('/', url.find("://") + 3);
  return path == std::string::npos ? "/" : url.substr(path);
}

void check_parts(const std::string& url, std::string_view text) {
  const auto parts = twilio::split_url(url);
  if (parts) {
    for (std::string_view part : {parts->scheme, parts->host, parts->port, parts->rest}) EXPECT(lies_in(part, url));
    EXPECT(parts->host.size() + parts->port.size() + parts->rest.size() + parts->scheme.size() + 3 <= url.size());
  }
  const auto candidates = twilio::signed_urls({url, url, "https://h.example/a"});
  EXPECT(candidates.size() <= 12 && std::set<std::string>(candidates.begin(), candidates.end()).size() == candidates.size());
  const auto of_handshake = twilio::handshake_urls({url, url, "http://h.example/a"});
  EXPECT(of_handshake.size() <= 64 && std::set<std::string>(of_handshake.begin(), of_handshake.end()).size() == of_handshake.size());
  for (std::string_view value : twilio::query_values(url, "bodySHA256")) EXPECT(lies_in(value, url));
  if (const auto digest = twilio::decode_base64(text)) EXPECT(twilio::encode_base64(*digest) == text);
  const std::string clean = twilio::clean_text(text);
  EXPECT(twilio::clean_text(clean) == clean);
  EXPECT(twilio::printable(text, 20).size() <= 23);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern;
  using namespace postern::fuzz;
  Input input(data, size);
  std::string url(input.line()), type(input.line());
  const std::string given(input.line()), body(input.rest());
  check_parts(url, body);
  for (std::string* text : {&url, &type}) {
    std::erase_if(*text, [](char c) { return c <= 0x20 || c >= 0x7f; });  // as the request reader would have it
  }
  // libFuzzer learns the token from the comparisons; what the request itself spells may be told.
  for (const std::string& text : {url, type, given, body}) {
    if (text.find(kToken) != std::string::npos) return 0;
  }
  if (!twilio::split_url(url) || url.find('@') != std::string::npos) url = "https://h.example/a";

  Request request;
  request.target = target_of(url);
  request.urls = {url};
  request.body = body;
  if (!type.empty()) request.headers.emplace_back("Content-Type", type);
  request.headers.emplace_back("X-Twilio-Signature", given);
  EXPECT_THAT(!accepts(request), "a signature out of the input");

  // A form is accepted when it is signed as documented, and then no other parameters are.
  const http::Form form = http::parse_form(body);
  std::vector<twilio::Parameter> views(form.begin(), form.end());
  const std::string parameters = parameters_of(form);
  EXPECT(twilio::parameter_text(views) == parameters);
  request.headers = {{"Content-Type", kForm}, {"X-Twilio-Signature", sign(url + parameters)}};
  const bool digest_in_query = request.target.find("bodySHA256") != std::string::npos;
  EXPECT_THAT(digest_in_query || accepts(request), url + "\n" + parameters);
  request.body += request.body.empty() ? "extra=1" : "&extra=1";
  http::Form more = http::parse_form(request.body);
  EXPECT_THAT(parameters_of(more) == parameters || !accepts(request), request.body);
  return 0;
}
