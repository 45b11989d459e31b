#include "tests/bench/load/event_source.h"

#include <algorithm>
#include <cstring>

#include "tests/bench/load/openphone_source.h"
#include "tests/bench/load/twilio_source.h"

namespace postern::load {
namespace {

void hex_digits(uint64_t value, char* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = kDigits[value & 15];
}

}  // namespace

void write_id(EventId id, char* out) {
  out[0] = 'E';
  out[1] = 'V';
  hex_digits(id.high, out + 2);
  hex_digits(id.low, out + 18);
}

std::unique_ptr<EventSource> make_event_source(const Options& options) {
  if (options.scheme == Scheme::kTwilio) return std::make_unique<TwilioSource>(options);
  return std::make_unique<OpenphoneSource>(options);
}

Places take_places(std::string& text, std::string_view mark) {
  Places places;
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += mark.size()) {
    places.push_back(at);
    std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), mark.size(), '0');
  }
  return places;
}

void write_hex(EventId value, const Places& places, std::string& text) {
  char digits[32];
  hex_digits(value.high, digits);
  hex_digits(value.low, digits + 16);
  for (const size_t at : places) std::memcpy(&text[at], digits, sizeof digits);
}

void write_decimal(uint64_t value, size_t size, const Places& places, std::string& text) {
  char digits[20];
  for (size_t i = size; i > 0; value /= 10) digits[--i] = static_cast<char>('0' + value % 10);
  for (const size_t at : places) std::memcpy(&text[at], digits, size);
}

}  // namespace postern::load
