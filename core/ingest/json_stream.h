// The second parser: nlohmann-json, reading a text from end to end without building anything, so that what it takes is
// bounded by the depth and not by the text. It is for what simdjson leaves out: numbers beyond 64 bits, and numbers as
// they were written. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/ingest/json_pointer.h"

namespace postern::ingest {

constexpr size_t kMaxJsonDepth = 64;

struct JsonValue {
  enum class Kind { kNull, kScalar, kObject, kArray };
  Kind kind = Kind::kNull;
  std::string text;  // of a scalar: strings unescaped, numbers beyond 64 bits and fractions as written
};

// Whether the text is one JSON text of at most kMaxJsonDepth levels; its numbers may have any number of digits.
Status check_json(std::string_view text);

// The same without a bound to the levels.
bool accepts_json(std::string_view text);

// The value at a pointer. Of equal keys in an object the first counts. `text` has passed check_json() or simdjson.
std::optional<JsonValue> find_json(std::string_view text, const PointerTokens& pointer);

}  // namespace postern::ingest
