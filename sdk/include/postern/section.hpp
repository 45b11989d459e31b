// postern/section.hpp - one mapping of `config:`, read name by name, so that what it has besides is known to be a mistake. Every fault is
// told with its place, and none quotes a value, which may be a secret. Needs nlohmann-json; not part of plugin.hpp.
//
//   Section in(config, "", [&](auto pointer, auto text) { setup.config_fault(pointer, text); });
//   in.read("host", host);
//   in.section("retry").read("base", base, 1s, 1h);
//   in.finish();
//
// Threads: one.
#pragma once

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "unknown_key.hpp"

namespace postern::inline sdk {

// `pointer` is a JSON pointer into `config:`.
using ReportFault = std::function<void(std::string_view pointer, std::string_view text)>;

class Section {
 public:
  // `value` null: everything is left out. It must outlive the section, as must `report`.
  Section(const nlohmann::json& value, std::string pointer, const ReportFault& report)
      : value_(value.is_object() ? value : nothing()), pointer_(std::move(pointer)), report_(report) {
    if (!value.is_object() && !value.is_null()) report_(pointer_, "must be a mapping");
  }

  // Each gives what is left out back as it was.
  void read(const char* name, std::string& text, size_t longest = 64 << 10);
  void read(const char* name, bool& flag);
  void read(const char* name, std::chrono::milliseconds& duration, std::chrono::milliseconds least, std::chrono::milliseconds most);
  void read(const char* name, uint64_t& number, uint64_t least, uint64_t most);
  void read(const char* name, double& number, double least, double most);
  void read(const char* name, std::vector<std::string>& texts, size_t most);
  void read_choice(const char* name, std::string& text, const std::vector<std::string_view>& choices);
  // A member as it is; null where it is left out.
  const nlohmann::json* any(const char* name) { return find(name); }
  // A mapping within; empty where it is left out.
  Section section(const char* name);
  bool has(const char* name) const { return value_.contains(name); }

  // The names that are there, for a mapping whose names are the operator's.
  std::vector<std::string> names() const;

  // Reads "NAME TEXT"; `name` empty: the mapping itself.
  void fault(std::string_view name, std::string_view text) const;
  // The text alone, at a place within: "auth/0".
  void fault_at(std::string_view place, std::string_view text) const { report_(pointer_ + "/" + std::string(place), text); }
  // What was not asked for is unknown: call it last.
  void finish() const;
  const std::string& pointer() const { return pointer_; }

 private:
  static const nlohmann::json& nothing() {
    static const nlohmann::json null;
    return null;
  }
  const nlohmann::json* find(const char* name) {
    known_.emplace_back(name);
    auto found = value_.find(name);
    return found == value_.end() ? nullptr : &*found;
  }

  const nlohmann::json& value_;
  const std::string pointer_;
  const ReportFault& report_;
  std::vector<std::string_view> known_;
};

// 1 to 64 letters, digits, '_' and '-'.
inline bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

// Whether a key may go there: encrypted, in clear only to this machine. `scheme`: "ws" or "http".
inline bool is_safe_url(std::string_view url, std::string_view scheme) {
  if (!url.starts_with(scheme)) return false;
  url.remove_prefix(scheme.size());
  if (url.starts_with("s://")) return true;
  if (!url.starts_with("://")) return false;
  std::string_view host = url.substr(3);
  host = host.substr(0, host.find_first_of("/?"));
  return host.starts_with("127.0.0.1:") || host.starts_with("localhost:") || host.starts_with("[::1]:");
}

// "1500ms", "2s", "55m", "1h", "30d".
inline std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  using std::chrono::milliseconds;
  int64_t number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (wrong != std::errc() || number < 0 || number > 1'000'000) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "ms") return milliseconds(number);
  if (unit == "s") return milliseconds(number * 1'000);
  if (unit == "m") return milliseconds(number * 60'000);
  if (unit == "h") return milliseconds(number * 3'600'000);
  if (unit == "d") return milliseconds(number * 86'400'000);
  return std::nullopt;
}

inline void Section::fault(std::string_view name, std::string_view text) const {
  report_(name.empty() ? pointer_ : pointer_ + pointer_to(name),
          std::string(name) + (name.empty() ? "" : " ") + std::string(text));
}

inline std::vector<std::string> Section::names() const {
  std::vector<std::string> all;
  for (const auto& [name, value] : value_.items()) all.push_back(name);
  return all;
}

inline Section Section::section(const char* name) {
  const nlohmann::json* found = find(name);
  return {found == nullptr ? nothing() : *found, pointer_ + pointer_to(name), report_};
}

inline void Section::read(const char* name, std::string& text, size_t longest) {
  const nlohmann::json* found = find(name);
  if (found == nullptr) return;
  if (!found->is_string()) return fault(name, "must be a text");
  const std::string& given = found->get_ref<const std::string&>();
  if (given.empty()) return fault(name, "is empty; leave it out where it is not wanted");
  if (given.size() > longest) return fault(name, "has more than " + std::to_string(longest) + " bytes");
  text = given;
}

inline void Section::read(const char* name, bool& flag) {
  const nlohmann::json* found = find(name);
  if (found == nullptr) return;
  if (!found->is_boolean()) return fault(name, "must be true or false");
  flag = found->get<bool>();
}

inline void Section::read(const char* name, std::chrono::milliseconds& duration, std::chrono::milliseconds least,
                          std::chrono::milliseconds most) {
  const nlohmann::json* found = find(name);
  if (found == nullptr) return;
  const auto given = found->is_string() ? read_duration(found->get_ref<const std::string&>()) : std::nullopt;
  if (!given) return fault(name, "must be a duration such as 1500ms, 2s, 55m or 30d");
  if (*given < least || *given > most) {
    return fault(name, "must be from " + std::to_string(least.count()) + "ms to " + std::to_string(most.count()) + "ms");
  }
  duration = *given;
}

inline void Section::read(const char* name, uint64_t& number, uint64_t least, uint64_t most) {
  const nlohmann::json* found = find(name);
  if (found == nullptr) return;
  const bool fits = found->is_number_unsigned() && *found >= least && *found <= most;
  if (!fits) return fault(name, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  number = found->get<uint64_t>();
}

inline void Section::read(const char* name, double& number, double least, double most) {
  const nlohmann::json* found = find(name);
  if (found == nullptr) return;
  if (!found->is_number()) return fault(name, "must be a number");
  const double given = found->get<double>();
  if (!(given >= least && given <= most)) {
    return fault(name, "must be from " + nlohmann::json(least).dump() + " to " + nlohmann::json(most).dump());
  }
  number = given;
}

inline void Section::read(const char* name, std::vector<std::string>& texts, size_t most) {
  const nlohmann::json* found = find(name);
  if (found == nullptr) return;
  auto is_text = [](const nlohmann::json& one) { return one.is_string() && !one.get_ref<const std::string&>().empty(); };
  const bool all = found->is_array() && found->size() <= most && std::all_of(found->begin(), found->end(), is_text);
  if (!all) return fault(name, "must be a list of at most " + std::to_string(most) + " texts, none of them empty");
  texts = found->get<std::vector<std::string>>();
}

inline void Section::read_choice(const char* name, std::string& text, const std::vector<std::string_view>& choices) {
  const nlohmann::json* found = find(name);
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

inline void Section::finish() const {
  for (const auto& [name, value] : value_.items()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      report_(pointer_ + pointer_to(name), unknown_key(name, known_));
    }
  }
}

}  // namespace postern::inline sdk
