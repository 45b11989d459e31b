// What proxies say of a request. Input: a line with the peer's address, a line with a network in CIDR notation, the rest header lines.
//
// An untrusted peer's headers change nothing; a trusted one's give an address or none, and URLs that are URLs.
#include <arpa/inet.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/admission/client_address.h"
#include "core/admission/forwarded.h"
#include "core/admission/public_urls.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using admission::AddressList;

const std::string kPublicUrl = "https://hooks.example.com";

bool is_address(const std::string& text) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

// Only lines that the request reader would have let through.
std::string header_lines(std::string_view text) {
  std::string lines;
  for (const char c : text) {
    if (c == '\n') lines += '\r';
    if (c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) lines += c;
  }
  return lines;
}

void check_elements(const http::Request& request) {
  const std::string whole = request.headers_text();
  for (const char* name : {"x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"}) {
    const auto elements = admission::list_elements(request, name);
    EXPECT(elements.size() <= admission::kMaxHops + 1);
    for (std::string_view element : elements) {
      EXPECT(element.find(',') == std::string_view::npos);
      for (const char* parameter : {"for", "host", "proto", "by"}) {
        const auto value = admission::forwarded_parameter(element, parameter);
        EXPECT(!value || lies_in(*value, element));
      }
    }
  }
}

void check_urls(const std::vector<std::string>& urls) {
  EXPECT(urls.size() <= admission::kMaxUrls);
  for (size_t i = 0; i < urls.size(); ++i) {
    EXPECT_THAT(urls[i].starts_with("https://") || urls[i].starts_with("http://"), urls[i]);
    EXPECT_THAT(std::all_of(urls[i].begin(), urls[i].end(), [](char c) { return c > 0x20 && c < 0x7f; }), urls[i]);
    EXPECT_THAT(urls[i].ends_with("/hook?a=%20b"), urls[i]);
    EXPECT(std::find(urls.begin(), urls.begin() + static_cast<ptrdiff_t>(i), urls[i]) == urls.begin() + static_cast<ptrdiff_t>(i));
  }
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern;
  using namespace postern::fuzz;
  Input input(data, size);
  const std::string peer(input.line());
  const std::string network(input.line());
  const auto parsed = AddressList::parse({network});
  const AddressList trusted = parsed ? *parsed : AddressList();
  const auto request = http::Request::from_parts("POST", "/hook?a=%20b", header_lines(input.rest()), "");
  check_elements(request);

  const std::string client = admission::client_address(request, peer, trusted);
  if (!admission::is_trusted(peer, trusted)) EXPECT(client == peer);
  EXPECT_THAT(client == peer || client == "unknown" || is_address(client), client);

  for (const std::string& public_url : {kPublicUrl, std::string()}) {
    const auto urls = admission::public_urls(request, peer, {public_url, trusted});
    check_urls(urls);
    if (!public_url.empty()) EXPECT(!urls.empty() && urls[0] == kPublicUrl + "/hook?a=%20b");
    if (!admission::is_trusted(peer, trusted)) EXPECT(urls.size() == (public_url.empty() ? 0u : 1u));
  }
  // The other spelling of an IPv4 address passes no list that the plain one does not.
  in_addr v4;
  if (::inet_pton(AF_INET, peer.c_str(), &v4) == 1) EXPECT(trusted.contains("::ffff:" + peer) == trusted.contains(peer));
  return 0;
}
