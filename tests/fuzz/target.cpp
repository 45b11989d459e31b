// Request targets, query components and authorities. Input: a line with the method, a line with the target, a line with the name of a query
// parameter, the rest a text to decode.
#include "core/http/target.h"

#include <optional>
#include <string>

#include "core/http/characters.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

std::string encoded(std::string_view text) {
  constexpr char kHex[] = "0123456789aBcDeF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (std::isalnum(byte)) {
      out += c;
    } else {
      out.append(1, '%').append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return out;
}

void check_target(std::string_view method, std::string_view target) {
  const auto parts = http::split_target(method, target);
  if (!parts) return;
  EXPECT(lies_in(parts->path, target) && lies_in(parts->query, target));
  EXPECT(!parts->path.empty());
  EXPECT(parts->path.front() == '/' || (parts->path == "*" && method == "OPTIONS"));
  EXPECT(parts->path.find('?') == std::string_view::npos);
  if (target.front() == '/') EXPECT(std::string(target).starts_with(parts->path));
  const auto segments = http::decode_path(parts->path);
  if (!segments) return;
  std::string again;
  for (const std::string& segment : *segments) again.append("/").append(encoded(segment));
  EXPECT_THAT(http::decode_path(again) == segments, again);
}

void check_authority(std::string_view text) {
  if (!http::is_authority(text)) return;
  // Nothing in it that another program could take for a list, a user, a path or the end of a line.
  EXPECT_THAT(text.find_first_of(std::string_view(" \t\r\n\0,;@/?#\\%\"'", 16)) == std::string_view::npos, text);
  EXPECT(text.front() != ':' && text.back() != ':');
  EXPECT(http::split_target("GET", "http://" + std::string(text) + "/a?b"));
}

void check_component(std::string_view name, std::string_view text) {
  if (const auto value = http::decode_component(text)) {
    EXPECT(http::is_utf8(*value) && value->size() <= text.size());
    EXPECT(http::decode_component(encoded(*value)) == *value);
  }
  if (!http::is_utf8(name) || !http::is_utf8(text)) return;
  const std::string query = "x=1&" + encoded(name) + "=" + encoded(text) + "&" + encoded(name) + "=2";
  EXPECT_THAT(http::query_parameter(query, name) == (name == "x" ? "1" : text), query);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  Input input(data, size);
  const std::string_view method = input.line(), target = input.line(), name = input.line();
  check_target(method, target);
  check_authority(target);
  check_component(name, input.rest());
  (void)postern::http::query_parameter(input.rest(), name);
  return 0;
}
