// Reader: a JSON value from outside, read field by field. What is there must have the right type; absent and null are
// the same. Errors: throws postern::Dead with the JSON pointer of the place, never with its value. Thread-safety: one
// thread at a time.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace openphone {

class Reader {
 public:
  // `value` must outlive the reader; `pointer` is its place in the body.
  explicit Reader(const nlohmann::json& value, std::string pointer = "")
      : value_(&value), pointer_(std::move(pointer)) {}

  bool has(const char* name) const { return find(name) != nullptr; }
  bool has_object(const char* name) const;
  bool empty() const { return value_->empty(); }

  Reader object(const char* name) const;                             // absent: an empty object
  std::string text(const char* name) const;                          // absent: ""
  std::string text(std::initializer_list<const char*> names) const;  // the first one that is not empty
  std::string code(const char* name) const;                          // a string or a whole number, as text
  std::vector<std::string> texts(const char* name) const;            // a list of strings, or one string, comma-joined
  std::vector<Reader> objects(const char* name) const;               // a list of objects; absent: none
  std::optional<int64_t> seconds(const char* name) const;            // a number from 0 to about 3 years, rounded down
  std::optional<bool> flag(const char* name) const;
  std::optional<int64_t> time(const char* name) const;  // Unix milliseconds; nothing for a text that is no time

  // Reads as an error: "/data/resource/text: must be a string".
  [[noreturn]] void fail(const char* name, const char* must) const;

 private:
  const nlohmann::json* find(const char* name) const;
  const nlohmann::json* value_;
  std::string pointer_;
};

}  // namespace openphone
