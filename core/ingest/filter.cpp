#include "core/ingest/filter.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "core/ingest/glob.h"

namespace postern::ingest {
namespace {

using config::Condition;

// The values that a source has, and whether it is there at all: an object has no text.
struct Found {
  std::vector<std::string> values;
  bool exists = false;
};

Found in_form(Content& content, const std::string& name) {
  Found found;
  const http::Form* form = content.form();
  if (form == nullptr) return found;
  for (const auto& [parameter, value] : *form) {
    if (parameter == name) found.values.push_back(value);
  }
  found.exists = !found.values.empty();
  return found;
}

Found in_head(Content& content, const std::string& name) {
  Found found;
  const http::Request& head = content.head();
  for (size_t i = 0; i < head.header_count(); ++i) {
    if (http::equals_ignoring_case(head.header_name(i), name)) found.values.emplace_back(head.header_value(i));
  }
  found.exists = !found.values.empty();
  return found;
}

Found in_json(Content& content, const PointerTokens& pointer) {
  Found found;
  const JsonBody* json = content.json();
  if (json == nullptr) return found;
  found.exists = json->exists(pointer);
  if (auto value = json->scalar(pointer)) found.values.push_back(std::move(*value));
  return found;
}

bool matches_any(const std::vector<std::string>& globs, const std::vector<std::string>& values) {
  return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
    return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) { return matches_glob(glob, value); });
  });
}

bool in_range(const Condition& condition, const std::string& value) {
  double number = 0;
  const char* end = value.data() + value.size();
  auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || !std::isfinite(number)) return false;
  return (!condition.at_least || number >= *condition.at_least) && (!condition.at_most || number <= *condition.at_most);
}

}  // namespace

const JsonBody* Content::json() {
  if (std::exchange(parsed_, true)) return json_;
  // One for each thread, which keeps its memory.
  thread_local JsonParser parser;
  auto parsed = parser.parse(event_.body);
  json_ = parsed ? *parsed : nullptr;
  return json_;
}

const http::Form* Content::form() {
  if (!std::exchange(form_known_, true)) {
    auto type = head().header("content-type");
    if (type && http::is_form_type(*type)) form_ = http::parse_form(event_.body, http::kMaxFormParameters);
  }
  return form_ ? &*form_ : nullptr;
}

const http::Request& Content::head() {
  if (!head_) head_ = http::Request::from_parts(event_.method, event_.target, event_.headers, {});
  return *head_;
}

Result<Filter> Filter::make(std::vector<Condition> conditions, size_t* at) {
  Filter filter;
  for (Condition& condition : conditions) {
    if (at != nullptr) *at = filter.tests_.size();
    Test test;
    if (condition.source == Condition::Source::kJson) {
      auto pointer = parse_pointer(condition.name);
      if (!pointer) return Status(Code::kInvalid, "json must be a JSON pointer, as /data/from: each step begins with '/'");
      test.pointer = std::move(*pointer);
    }
    test.condition = std::move(condition);
    filter.tests_.push_back(std::move(test));
  }
  return filter;
}

bool Filter::passes(Content& content) const {
  return std::all_of(tests_.begin(), tests_.end(), [&](const Test& test) { return holds(test, content); });
}

bool Filter::holds(const Test& test, Content& content) {
  const Condition& condition = test.condition;
  Found found = condition.source == Condition::Source::kJson   ? in_json(content, test.pointer)
                : condition.source == Condition::Source::kForm ? in_form(content, condition.name)
                                                               : in_head(content, condition.name);
  if (condition.exists && *condition.exists != found.exists) return false;
  if (!condition.is.empty() && !matches_any(condition.is, found.values)) return false;
  if (!condition.is_not.empty() && matches_any(condition.is_not, found.values)) return false;
  if (!condition.at_least && !condition.at_most) return true;
  return std::any_of(found.values.begin(), found.values.end(), [&](const std::string& value) { return in_range(condition, value); });
}

}  // namespace postern::ingest
