#include "core/ingest/identify.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/digest.h"
#include "core/http/target.h"

namespace postern::ingest {
namespace {

// Lengths before the parts, so that no two lists of parts read the same.
class PartsHash {
 public:
  void add(const Expression::Value& value) {
    for (size_t i = 0; i < value.size(); ++i) add(value.part(i));
  }
  void add(std::string_view part) {
    char digits[24];
    auto [end, error] = std::to_chars(digits, digits + sizeof digits, part.size());
    *end = ':';
    stream_.add({digits, static_cast<size_t>(end - digits) + 1});
    stream_.add(part);
  }
  Sha256 finish() { return stream_.finish(); }

 private:
  Sha256Stream stream_;
};

bool is_fit(std::string_view text, size_t max_bytes) {
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return text.size() <= max_bytes && std::none_of(text.begin(), text.end(), is_control) && http::is_utf8(text);
}

constexpr std::string_view kSecretHeaders[] = {"authorization", "proxy-authorization", "cookie"};

// The stored headers never hold what would let a reader act as the sender.
std::string storable_headers(const http::Request& request) {
  std::string text;
  text.reserve(request.head_size());
  for (size_t i = 0; i < request.header_count(); ++i) {
    std::string_view name = request.header_name(i);
    bool secret = false;
    for (std::string_view s : kSecretHeaders) secret = secret || http::equals_ignoring_case(name, s);
    if (secret) continue;
    text += name;
    text += ": ";
    text += request.header_value(i);
    text += "\r\n";
  }
  return text;
}

// Who gives no id is known by what it says.
std::string content_id(const Route& route, const Subject& subject) {
  auto content = route.content_from.evaluate(subject);
  if (!content) return "sha256:" + sha256_hex(subject.request.body());
  PartsHash hash;
  hash.add(*content);
  return "sha256:" + to_hex(hash.finish());
}

Status name_event(const Route& route, const signature::Scheme* scheme, const Subject& subject, NewEvent& event) {
  for (const Expression& required : route.required) {
    if (!required.evaluate(subject)) return {Code::kInvalid, "a required field is missing"};
  }
  auto type = route.type_from.evaluate(subject);
  std::string_view kind = type ? std::string_view(type->text) : "unknown";
  event.type.reserve(route.provider.size() + 1 + kind.size());
  event.type.append(route.provider).append(1, '.').append(kind);
  if (!is_fit(event.type, kMaxTypeBytes)) return {Code::kInvalid, "the event's type is too long or not plain text"};

  PartsHash hash;
  hash.add(route.provider);
  hash.add(route.path);
  if (auto id = route.id_from(scheme).evaluate(subject)) {
    hash.add(*id);
    event.external_id = std::move(id->text);
  } else {
    event.external_id = content_id(route, subject);
    hash.add(event.external_id);
  }
  Sha256 digest = hash.finish();
  std::copy_n(digest.begin(), event.dedupe_key.size(), event.dedupe_key.begin());
  if (!is_fit(event.external_id, kMaxIdBytes)) return {Code::kInvalid, "the event's id is too long or not plain text"};

  if (!route.ordered) return Status::ok();
  if (auto key = route.order_key_from.evaluate(subject)) event.order_key = std::move(key->text);
  if (!is_fit(event.order_key, kMaxIdBytes)) return {Code::kInvalid, "the event's order key is too long or not plain text"};
  return Status::ok();
}

// What the expressions look at besides the request itself.
Result<const JsonBody*> read_json(const Route& route, const http::Request& request, JsonParser& parser) {
  if (!route.needs_json()) return static_cast<const JsonBody*>(nullptr);
  auto parsed = parser.parse(request.body());
  if (!parsed) return Status(Code::kInvalid, "the body is not JSON");
  if (!(*parsed)->is_object()) return Status(Code::kInvalid, "the body is not a JSON object");
  return parsed;
}

Result<std::optional<http::Form>> read_form(const Route& route, const http::Request& request) {
  auto type = request.header("content-type");
  if (!route.needs_form() || !type || !http::is_form_type(*type)) return std::optional<http::Form>();
  http::Form form = http::parse_form(request.body(), http::kMaxFormParameters + 1);
  if (form.size() > http::kMaxFormParameters) return Status(Code::kInvalid, "the form has too many parameters");
  for (const auto& [name, value] : form) {
    if (!http::is_utf8(name) || !http::is_utf8(value)) return Status(Code::kInvalid, "the form is not UTF-8");
  }
  return std::optional(std::move(form));
}

}  // namespace

Result<NewEvent> identify(const Route& route, const signature::Scheme* scheme, const http::Request& request,
                          const http::PathParameters& path, JsonParser& parser) {
  auto json = read_json(route, request, parser);
  if (!json) return json.status();
  auto form = read_form(route, request);
  if (!form) return form.status();
  NewEvent event;
  if (Status s = name_event(route, scheme, Subject{request, path, *json, *form ? &**form : nullptr}, event); !s) return s;
  event.provider = route.provider;
  event.method = request.method();
  event.target = request.target();
  event.headers = storable_headers(request);
  return event;
}

Result<NewEvent> identify(const std::string& plugin, Publication publication) {
  auto& [type, body, order_key, external_id] = publication;
  if (type.empty() || !is_fit(type, kMaxTypeBytes)) {
    return Status(Code::kInvalid, "the type of an event is one line of UTF-8 of 1 to 200 bytes");
  }
  if (type.size() + body.size() > kMaxPublishedBytes) {
    return Status(Code::kLimit, "an event that is published has at most 4 MiB; keep more in records");
  }
  if (!is_json(body)) return Status(Code::kInvalid, "the body of a published event must be JSON");
  if (!is_fit(order_key, kMaxIdBytes)) return Status(Code::kInvalid, "an order key is one line of UTF-8 of at most 1024 bytes");
  if (!is_fit(external_id, kMaxIdBytes)) return Status(Code::kInvalid, "an external id is one line of UTF-8 of at most 1024 bytes");
  PartsHash hash;
  hash.add(plugin);
  hash.add("publish");  // no route's path, which begins with a slash
  hash.add(external_id);
  Sha256 digest = hash.finish();
  NewEvent event;
  std::copy_n(digest.begin(), event.dedupe_key.size(), event.dedupe_key.begin());
  event.provider = plugin;
  event.type = std::move(type);
  event.body = std::move(body);
  event.order_key = std::move(order_key);
  event.external_id = std::move(external_id);
  return event;
}

}  // namespace postern::ingest
