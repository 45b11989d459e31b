// JSON text of single values, as nlohmann::json writes them; "" stands for no value. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace openphone {

// Adds the text in quotation marks, with the escapes it needs.
void append_quoted(std::string& out, std::string_view text);
std::string in_quotes(std::string_view text);

// Nothing for what is empty or absent.
std::string json_of(std::string_view text);
std::string json_of(const std::vector<std::string_view>& list);
std::string json_of(std::optional<int64_t> number);
std::string json_of(std::optional<bool> flag);

std::string dump(const nlohmann::json& value);

}  // namespace openphone
