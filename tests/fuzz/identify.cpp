// From a request to an event: expressions, JSON and forms. Input: a line with an expression, a line with a target, lines with headers
// up to an empty one; the rest is the body.
//
// Both JSON parsers must say the same of a body, or one body would have two ids.
#include "core/ingest/identify.h"

#include <algorithm>
#include <string>

#include "core/http/target.h"
#include "core/ingest/json_stream.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using namespace ingest;

std::string told(const std::optional<std::string>& value) { return value ? "'" + *value + "'" : "nothing"; }

// What the fast parser makes of a text, beside the slow one, which does without it for numbers of any length.
void check_json(const std::string& body, const Expression& expression, JsonParser& parser) {
  const auto parsed = parser.parse(body);
  const bool valid = ingest::check_json(body).is_ok();
  EXPECT_THAT(parsed.is_ok() == valid, valid ? "the fast parser refuses" : "the fast parser takes it");
  EXPECT(!valid || is_json(body));
  if (!valid) return;
  const JsonBody& json = **parsed;
  const auto root = find_json(body, {});
  EXPECT(root && json.is_object() == (root->kind == JsonValue::Kind::kObject));
  for (const auto& parts : expression.alternatives()) {
    for (const auto& part : parts) {
      if (part.source != Expression::Source::kJson) continue;
      const auto slow = find_json(body, part.pointer);
      const auto wanted = slow && slow->kind == JsonValue::Kind::kScalar ? std::optional(slow->text) : std::nullopt;
      const auto is = json.scalar(part.pointer);
      EXPECT_THAT(is == wanted, "fast " + told(is) + ", slow " + told(wanted));
      EXPECT(json.exists(part.pointer) == (slow && slow->kind != JsonValue::Kind::kNull));
      EXPECT(!is || http::is_utf8(*is));
    }
  }
}

void check_event(const NewEvent& event, const http::Request& request) {
  const auto plain = [](const std::string& text, size_t most) {
    return text.size() <= most && http::is_utf8(text) &&
           std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  };
  EXPECT(plain(event.type, kMaxTypeBytes) && event.type.starts_with("fuzz."));
  EXPECT(plain(event.external_id, kMaxIdBytes) && !event.external_id.empty());
  EXPECT(plain(event.order_key, kMaxIdBytes));
  EXPECT(event.target == request.target() && event.method == request.method());
  EXPECT(event.headers.size() <= request.headers_text().size());
  const auto stored = http::Request::from_parts("POST", event.target, event.headers, "");
  for (const char* secret : {"authorization", "proxy-authorization", "cookie"}) EXPECT(stored.count(secret) == 0);
}

http::Request read_request(Input& input) {
  const std::string target(input.line());
  std::string headers;
  for (std::string_view line = input.line(); !line.empty(); line = input.line()) {
    for (const char c : line) {
      if (c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) headers += c;
    }
    headers += "\r\n";
  }
  return http::Request::from_parts("POST", target, headers, std::string(input.rest()));
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern;
  using namespace postern::fuzz;
  static JsonParser parser;
  Input input(data, size);
  const auto expression = Expression::parse(input.line());
  if (!expression) {
    EXPECT(!expression.status().message().empty());
    return 0;
  }
  const http::Request request = read_request(input);
  check_json(request.body(), *expression, parser);

  Route route;
  route.provider = "fuzz";
  route.path = "/hook";
  route.unsigned_id_from = route.type_from = route.order_key_from = *expression;
  const http::PathParameters path = {{"id", "p1"}};
  const auto event = identify(route, nullptr, request, path, parser);
  if (!event) {
    EXPECT(event.status().code() == Code::kInvalid);
    return 0;
  }
  check_event(*event, request);
  const auto again = identify(route, nullptr, request, path, parser);
  EXPECT(again && again->dedupe_key == event->dedupe_key && again->external_id == event->external_id);
  return 0;
}
