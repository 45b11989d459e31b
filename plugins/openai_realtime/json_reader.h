// JSON that comes by a WebSocket, read with simdjson's DOM, which checks the whole of it. Thread-safety: each thread has its own parser.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace openai_realtime {

// Good until the thread reads the next one. Nothing when it is not JSON, or no object.
std::optional<simdjson::dom::object> read_object(std::string_view text);

// "" or nothing where there is no such member, or it is of another type.
std::string_view string_in(const simdjson::dom::object& object, std::string_view name);
std::optional<simdjson::dom::object> object_in(const simdjson::dom::object& object, std::string_view name);
std::optional<simdjson::dom::array> array_in(const simdjson::dom::object& object, std::string_view name);
// A number, or a string of digits: providers say either.
std::optional<int64_t> integer_in(const simdjson::dom::object& object, std::string_view name);

}  // namespace openai_realtime
