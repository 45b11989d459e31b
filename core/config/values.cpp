#include "core/config/values.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>

namespace postern::config {

namespace {

struct Unit {
  std::string_view name;
  uint64_t scale;
};

constexpr Unit kDurationUnits[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizeUnits[] = {{"", 1},         {"KiB", 1ull << 10}, {"MiB", 1ull << 20},  {"GiB", 1ull << 30},
                               {"kB", 1000ull}, {"MB", 1000000ull},  {"GB", 1000000000ull}};
constexpr Unit kRateUnits[] = {{"s", 1}, {"m", 60}, {"h", 3600}};
constexpr double kMaxRate = 1e6;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Status invalid(const char* message) { return {Code::kInvalid, message}; }
Status too_large() { return {Code::kLimit, "is too large"}; }

// Takes the digits at the start of the text off it. kInvalid when there are none, kLimit when they do not fit.
Result<uint64_t> take_digits(std::string_view& text) {
  size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error == std::errc::result_out_of_range) return too_large();
  if (error != std::errc() || digits == 0) return invalid("is not a whole number");
  text.remove_prefix(digits);
  return value;
}

// Where the unit stands in its table, or the table's size.
template <size_t N>
size_t find_unit(const Unit (&units)[N], std::string_view name) {
  size_t i = 0;
  while (i < N && units[i].name != name) ++i;
  return i;
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr const char* kWrong = "is not a duration; write it like 250ms, 5s, 10m, 1h30m or 3d";
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return invalid(kWrong);
  uint64_t total = 0;
  size_t least_unit = 0;  // the first unit of the table that may still come
  while (!text.empty()) {
    const Result<uint64_t> number = take_digits(text);
    if (!number) return number.status().code() == Code::kLimit ? number.status() : invalid(kWrong);
    size_t length = 0;
    while (length < text.size() && !is_digit(text[length])) ++length;
    const size_t unit = find_unit(kDurationUnits, text.substr(0, length));
    if (unit == std::size(kDurationUnits) || unit < least_unit) return invalid(kWrong);
    text.remove_prefix(length);
    least_unit = unit + 1;
    uint64_t part = 0;
    if (__builtin_mul_overflow(*number, kDurationUnits[unit].scale, &part) ||
        __builtin_add_overflow(total, part, &total))
      return too_large();
  }
  if (total > static_cast<uint64_t>(INT64_MAX)) return too_large();
  return std::chrono::milliseconds(static_cast<int64_t>(total));
}

Result<uint64_t> parse_size(std::string_view text) {
  constexpr const char* kWrong = "is not a size; write it like 512, 64KiB, 1MiB or 5MB";
  const Result<uint64_t> number = take_digits(text);
  if (!number) return number.status().code() == Code::kLimit ? number.status() : invalid(kWrong);
  const size_t unit = find_unit(kSizeUnits, text);
  if (unit == std::size(kSizeUnits)) return invalid(kWrong);
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(*number, kSizeUnits[unit].scale, &bytes)) return too_large();
  return bytes;
}

Result<double> parse_rate(std::string_view text) {
  constexpr const char* kWrong = "is not a rate; write it like 100/s, 30/m or 5/h";
  const Result<uint64_t> number = take_digits(text);
  if (!number) return number.status().code() == Code::kLimit ? number.status() : invalid(kWrong);
  if (!text.starts_with('/')) return invalid(kWrong);
  const size_t unit = find_unit(kRateUnits, text.substr(1));
  if (unit == std::size(kRateUnits)) return invalid(kWrong);
  if (*number == 0) return invalid("would let nothing through; a rate is at least 1/h");
  const double rate = static_cast<double>(*number) / static_cast<double>(kRateUnits[unit].scale);
  if (rate > kMaxRate) return too_large();
  return rate;
}

Result<bool> parse_flag(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return invalid("is neither true nor false");
}

Result<uint64_t> parse_count(std::string_view text) {
  const Result<uint64_t> number = take_digits(text);
  if (number && !text.empty()) return invalid("is not a whole number");
  return number;
}

Result<double> parse_real(std::string_view text) {
  const size_t first = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  // from_chars knows "inf" and "nan", which are no numbers in JSON.
  if (first >= text.size() || !(is_digit(text[first]) || text[first] == '.')) return invalid("is not a number");
  if (text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return Status(Code::kLimit, "is out of a number's range");
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return invalid("is not a number");
  return value;
}

}  // namespace postern::config
