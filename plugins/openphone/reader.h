// Reader: a JSON object from outside, read field by field. What is there must have the right type; absent and null are
// the same, and of two fields of one name the last one counts. Errors: throws postern::Dead with the JSON pointer of
// the place, never with its value. Thread-safety: one thread at a time.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace openphone {

// Every text that it gives lives as long as the Body that is read.
class Reader {
 public:
  // `pointer` is the object's place in the body; without an object all fields are absent.
  explicit Reader(std::optional<simdjson::dom::object> object, std::string pointer = "")
      : object_(object), pointer_(std::move(pointer)) {}

  bool has(std::string_view name) const { return find(name).has_value(); }
  bool has_object(std::string_view name) const;
  bool empty() const { return !object_ || object_->begin() == object_->end(); }

  Reader object(std::string_view name) const;                                  // absent: an empty object
  std::string_view text(std::string_view name) const;                          // absent: ""
  std::string_view text(std::initializer_list<std::string_view> names) const;  // the first one that is not empty
  std::string code(std::string_view name) const;                               // a string or a whole number, as text
  std::vector<std::string_view> texts(std::string_view name) const;  // a list of strings, or one string, comma-joined
  std::vector<Reader> objects(std::string_view name) const;          // a list of objects; absent: none
  std::optional<int64_t> seconds(std::string_view name) const;       // a number from 0 to about 3 years, rounded down
  std::optional<bool> flag(std::string_view name) const;
  std::optional<int64_t> time(std::string_view name) const;  // Unix milliseconds; nothing for a text that is no time

  // Reads as an error: "/data/resource/text: must be a string".
  [[noreturn]] void fail(std::string_view name, const char* must) const;

 private:
  std::optional<simdjson::dom::element> find(std::string_view name) const;
  std::string place(std::string_view name) const;

  std::optional<simdjson::dom::object> object_;
  std::string pointer_;
};

}  // namespace openphone
