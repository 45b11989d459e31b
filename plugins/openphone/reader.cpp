#include "reader.h"

#include <postern/plugin.hpp>

#include "time.h"

namespace openphone {
namespace {

using nlohmann::json;

constexpr double kLongest = 100'000'000;  // seconds
const json kEmptyObject = json::object();

void add_joined(std::string_view joined, std::vector<std::string>& out) {
  while (!joined.empty()) {
    size_t comma = std::min(joined.find(','), joined.size());
    std::string_view part = joined.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) out.emplace_back(part);
    joined.remove_prefix(std::min(comma + 1, joined.size()));
  }
}

}  // namespace

void Reader::fail(const char* name, const char* must) const {
  throw postern::Dead(pointer_ + "/" + name + ": " + must);
}

const json* Reader::find(const char* name) const {
  auto found = value_->find(name);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

bool Reader::has_object(const char* name) const {
  const json* value = find(name);
  return value != nullptr && value->is_object();
}

Reader Reader::object(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return Reader(kEmptyObject, pointer_ + "/" + name);
  if (!value->is_object()) fail(name, "must be an object");
  return Reader(*value, pointer_ + "/" + name);
}

std::string Reader::text(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_string()) fail(name, "must be a string");
  return value->get<std::string>();
}

std::string Reader::text(std::initializer_list<const char*> names) const {
  for (const char* name : names) {
    if (std::string found = text(name); !found.empty()) return found;
  }
  return {};
}

std::string Reader::code(const char* name) const {
  const json* value = find(name);
  if (value != nullptr && value->is_number_integer()) return value->dump();
  return text(name);
}

std::vector<std::string> Reader::texts(const char* name) const {
  std::vector<std::string> out;
  const json* value = find(name);
  if (value == nullptr) return out;
  if (value->is_string()) {
    add_joined(value->get_ref<const std::string&>(), out);
    return out;
  }
  if (!value->is_array()) fail(name, "must be a string or a list of strings");
  for (const json& one : *value) {
    if (!one.is_string()) fail(name, "must be a list of strings");
    if (!one.get_ref<const std::string&>().empty()) out.push_back(one.get<std::string>());
  }
  return out;
}

std::vector<Reader> Reader::objects(const char* name) const {
  std::vector<Reader> out;
  const json* value = find(name);
  if (value == nullptr) return out;
  if (!value->is_array()) fail(name, "must be a list of objects");
  for (const json& one : *value) {
    if (!one.is_object()) fail(name, "must be a list of objects");
    out.emplace_back(one, pointer_ + "/" + name + "/" + std::to_string(out.size()));
  }
  return out;
}

std::optional<int64_t> Reader::seconds(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) fail(name, "must be a number");
  double number = value->get<double>();
  if (!(number >= 0 && number <= kLongest)) fail(name, "must be a duration in seconds");
  return static_cast<int64_t>(number);
}

std::optional<bool> Reader::flag(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail(name, "must be true or false");
  return value->get<bool>();
}

std::optional<int64_t> Reader::time(const char* name) const {
  std::string written = text(name);
  return written.empty() ? std::nullopt : parse_time(written);
}

}  // namespace openphone
