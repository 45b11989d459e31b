// Section: one mapping of `config:`, read name by name, so that what it has besides is known to be a mistake. Every fault is reported with
// its place, and none quotes a value, which may be a secret. Thread-safety: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace smtp {

// `pointer` is a JSON pointer into `config:`.
using ReportFault = std::function<void(std::string_view pointer, std::string_view text)>;

class Section {
 public:
  // `value` null: everything is left out. It must outlive the section.
  Section(const nlohmann::json& value, std::string pointer, const ReportFault& report);

  // Each gives what is left out back as it was.
  void read(const char* name, std::string& text, size_t longest = 64 << 10);
  void read(const char* name, bool& flag);
  void read(const char* name, std::chrono::milliseconds& duration, std::chrono::milliseconds least, std::chrono::milliseconds most);
  void read(const char* name, uint64_t& number, uint64_t least, uint64_t most);
  void read_choice(const char* name, std::string& text, const std::vector<std::string_view>& choices);
  // A member as it is; null where it is left out.
  const nlohmann::json* any(const char* name);
  // A mapping within; empty where it is left out.
  Section section(const char* name);
  bool has(const char* name);

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
  const nlohmann::json* find(const char* name);

  const nlohmann::json& value_;
  const std::string pointer_;
  const ReportFault& report_;
  std::vector<std::string_view> known_;
};

// 1 to 64 letters, digits, '_' and '-'.
bool is_name(std::string_view text);
// "1500ms", "2s", "55m", "1h".
std::optional<std::chrono::milliseconds> read_duration(std::string_view text);

}  // namespace smtp
