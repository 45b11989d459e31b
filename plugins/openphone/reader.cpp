#include "reader.h"

#include <algorithm>
#include <postern/plugin.hpp>

#include "time.h"

namespace openphone {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;

constexpr double kLongest = 100'000'000;  // seconds

void add_joined(std::string_view joined, std::vector<std::string_view>& out) {
  while (!joined.empty()) {
    size_t comma = std::min(joined.find(','), joined.size());
    std::string_view part = joined.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) out.push_back(part);
    joined.remove_prefix(std::min(comma + 1, joined.size()));
  }
}

}  // namespace

std::string Reader::place(std::string_view name) const {
  std::string place = pointer_;
  return (place += '/').append(name);
}

void Reader::fail(std::string_view name, const char* must) const { throw postern::Dead(place(name) + ": " + must); }

std::optional<element> Reader::find(std::string_view name) const {
  std::optional<element> found;
  if (!object_) return found;
  for (auto field = object_->begin(); field != object_->end(); ++field) {
    if (field.key_equals(name)) found = field.value();
  }
  return found && !found->is_null() ? found : std::nullopt;
}

bool Reader::has_object(std::string_view name) const {
  auto value = find(name);
  return value && value->is_object();
}

Reader Reader::object(std::string_view name) const {
  auto value = find(name);
  if (!value) return Reader(std::nullopt, place(name));
  simdjson::dom::object inner;
  if (value->get(inner)) fail(name, "must be an object");
  return Reader(inner, place(name));
}

std::string_view Reader::text(std::string_view name) const {
  auto value = find(name);
  std::string_view text;
  if (value && value->get(text)) fail(name, "must be a string");
  return text;
}

std::string_view Reader::text(std::initializer_list<std::string_view> names) const {
  for (std::string_view name : names) {
    if (std::string_view found = text(name); !found.empty()) return found;
  }
  return {};
}

std::string Reader::code(std::string_view name) const {
  auto value = find(name);
  if (value && value->type() == simdjson::dom::element_type::INT64) return std::to_string(int64_t(*value));
  if (value && value->type() == simdjson::dom::element_type::UINT64) return std::to_string(uint64_t(*value));
  return std::string(text(name));
}

std::vector<std::string_view> Reader::texts(std::string_view name) const {
  std::vector<std::string_view> out;
  auto value = find(name);
  if (!value) return out;
  std::string_view text;
  if (!value->get(text)) {
    add_joined(text, out);
    return out;
  }
  array list;
  if (value->get(list)) fail(name, "must be a string or a list of strings");
  for (element one : list) {
    if (one.get(text)) fail(name, "must be a list of strings");
    if (!text.empty()) out.push_back(text);
  }
  return out;
}

std::vector<Reader> Reader::objects(std::string_view name) const {
  std::vector<Reader> out;
  auto value = find(name);
  if (!value) return out;
  array list;
  if (value->get(list)) fail(name, "must be a list of objects");
  for (element one : list) {
    simdjson::dom::object object;
    if (one.get(object)) fail(name, "must be a list of objects");
    out.emplace_back(object, place(name) + "/" + std::to_string(out.size()));
  }
  return out;
}

std::optional<int64_t> Reader::seconds(std::string_view name) const {
  auto value = find(name);
  if (!value) return std::nullopt;
  double number = 0;
  if (value->get(number)) fail(name, "must be a number");
  if (!(number >= 0 && number <= kLongest)) fail(name, "must be a duration in seconds");
  return static_cast<int64_t>(number);
}

std::optional<bool> Reader::flag(std::string_view name) const {
  auto value = find(name);
  if (!value) return std::nullopt;
  bool flag = false;
  if (value->get(flag)) fail(name, "must be true or false");
  return flag;
}

std::optional<int64_t> Reader::time(std::string_view name) const {
  std::string_view written = text(name);
  return written.empty() ? std::nullopt : parse_time(written);
}

}  // namespace openphone
