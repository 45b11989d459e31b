#include "json_reader.h"

#include <charconv>

namespace openai_realtime {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

namespace {

constexpr size_t kMaxDepth = 64;
// A thread's buffers are given back when a message has made them larger than this.
constexpr size_t kKeep = 1 << 20;

}  // namespace

std::optional<object> read_object(std::string_view text) {
  if (text.empty()) return std::nullopt;  // it need not have an address, which simdjson would copy from
  thread_local std::optional<simdjson::dom::parser> parser;
  if (!parser || (parser->capacity() > kKeep && text.size() <= kKeep)) {
    parser.emplace();
    if (parser->allocate(4096, kMaxDepth) != simdjson::SUCCESS) return std::nullopt;
  }
  object root;
  if (parser->parse(text.data(), text.size(), true).get(root) != simdjson::SUCCESS) return std::nullopt;
  return root;
}

std::string_view string_in(const object& in, std::string_view name) {
  std::string_view text;
  return in.at_key(name).get(text) == simdjson::SUCCESS ? text : std::string_view();
}

std::optional<object> object_in(const object& in, std::string_view name) {
  object found;
  if (in.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

std::optional<array> array_in(const object& in, std::string_view name) {
  array found;
  if (in.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

std::optional<int64_t> integer_in(const object& in, std::string_view name) {
  element found;
  if (in.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
  int64_t number = 0;
  if (found.get(number) == simdjson::SUCCESS) return number;
  std::string_view digits;
  if (found.get(digits) != simdjson::SUCCESS || digits.empty()) return std::nullopt;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace openai_realtime
