// Form: a body of application/x-www-form-urlencoded, taken apart (URL Standard, 5.1: "application/x-www-form-urlencoded parsing").
// Thread-safety: pure functions and plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::http {

// More than any provider sends; a body of many tiny parameters costs far more than its bytes.
constexpr size_t kMaxFormParameters = 1000;

// Names and values, decoded, in the order of the body. They need not be UTF-8.
using Form = std::vector<std::pair<std::string, std::string>>;

// Empty sequences are passed over, '+' is a blank, and a '%' without two hex digits stands for itself.
// Stops behind `most` parameters.
Form parse_form(std::string_view body, size_t most = SIZE_MAX);

// Whether a Content-Type says so; without regard to case and parameters.
bool is_form_type(std::string_view content_type);

}  // namespace postern::http
