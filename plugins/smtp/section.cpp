#include "section.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <postern/unknown_key.hpp>

namespace smtp {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

const json kNothing;

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

std::optional<milliseconds> read_duration(std::string_view text) {
  int64_t number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (wrong != std::errc() || number < 0 || number > 1'000'000) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "ms") return milliseconds(number);
  if (unit == "s") return milliseconds(number * 1'000);
  if (unit == "m") return milliseconds(number * 60'000);
  if (unit == "h") return milliseconds(number * 3'600'000);
  return std::nullopt;
}

Section::Section(const json& value, std::string pointer, const ReportFault& report)
    : value_(value.is_object() ? value : kNothing), pointer_(std::move(pointer)), report_(report) {
  if (!value.is_object() && !value.is_null()) report_(pointer_, "must be a mapping");
}

const json* Section::find(const char* name) {
  known_.emplace_back(name);
  auto found = value_.find(name);
  return found == value_.end() ? nullptr : &*found;
}

void Section::fault(std::string_view name, std::string_view text) const {
  report_(name.empty() ? pointer_ : pointer_ + postern::pointer_to(name), std::string(name) + (name.empty() ? "" : " ") + std::string(text));
}

std::vector<std::string> Section::names() const {
  std::vector<std::string> all;
  for (const auto& [name, value] : value_.items()) all.push_back(name);
  return all;
}

const json* Section::any(const char* name) { return find(name); }

bool Section::has(const char* name) { return value_.contains(name); }

Section Section::section(const char* name) {
  const json* found = find(name);
  return {found == nullptr ? kNothing : *found, pointer_ + postern::pointer_to(name), report_};
}

void Section::read(const char* name, std::string& text, size_t longest) {
  const json* found = find(name);
  if (found == nullptr) return;
  if (!found->is_string()) return fault(name, "must be a text");
  const std::string& given = found->get_ref<const std::string&>();
  if (given.empty()) return fault(name, "is empty; leave it out where it is not wanted");
  if (given.size() > longest) return fault(name, "has more than " + std::to_string(longest) + " bytes");
  text = given;
}

void Section::read(const char* name, bool& flag) {
  const json* found = find(name);
  if (found == nullptr) return;
  if (!found->is_boolean()) return fault(name, "must be true or false");
  flag = found->get<bool>();
}

void Section::read(const char* name, milliseconds& duration, milliseconds least, milliseconds most) {
  const json* found = find(name);
  if (found == nullptr) return;
  const auto given = found->is_string() ? read_duration(found->get_ref<const std::string&>()) : std::nullopt;
  if (!given) return fault(name, "must be a duration such as 1500ms, 2s or 55m");
  if (*given < least || *given > most) {
    return fault(name, "must be from " + std::to_string(least.count()) + "ms to " + std::to_string(most.count()) + "ms");
  }
  duration = *given;
}

void Section::read(const char* name, uint64_t& number, uint64_t least, uint64_t most) {
  const json* found = find(name);
  if (found == nullptr) return;
  const bool fits = found->is_number_unsigned() && *found >= least && *found <= most;
  if (!fits) return fault(name, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  number = found->get<uint64_t>();
}

void Section::read_choice(const char* name, std::string& text, const std::vector<std::string_view>& choices) {
  const json* found = find(name);
  if (found == nullptr) return;
  const std::string given = found->is_string() ? found->get<std::string>() : "";
  if (std::find(choices.begin(), choices.end(), given) != choices.end()) {
    text = given;
    return;
  }
  std::string all;
  for (std::string_view choice : choices) all.append(all.empty() ? "" : ", ").append(choice);
  fault(name, "must be one of " + all);
}

void Section::finish() const {
  for (const auto& [name, value] : value_.items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      report_(pointer_ + postern::pointer_to(name), postern::unknown_key(name, known_));
    }
  }
}

}  // namespace smtp
