#include "body.h"

#include <algorithm>
#include <charconv>
#include <new>
#include <postern/plugin.hpp>
#include <string>

namespace openphone {
namespace {

using simdjson::dom::element;

bool is_beyond_64_bits(std::string_view number) {
  int64_t negative = 0;
  uint64_t positive = 0;
  const char* end = number.data() + number.size();
  auto read = number.starts_with('-') ? std::from_chars(number.data(), end, negative)
                                      : std::from_chars(number.data(), end, positive);
  return read.ec == std::errc::result_out_of_range && read.ptr == end;
}

// A whole number beyond 64 bits is JSON as well, and what is not read may be as it is: with an exponent simdjson takes
// it, as the nearest double.
std::string with_exponents(std::string_view text) {
  constexpr std::string_view kOfNumbers = "+-.0123456789Ee";
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  while (!text.empty()) {
    bool number = !in_string && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
    bool escaped = in_string && text[0] == '\\';
    if (text[0] == '"') in_string = !in_string;
    size_t size = number ? text.find_first_not_of(kOfNumbers) : escaped ? 2 : 1;
    std::string_view part = text.substr(0, size);
    text.remove_prefix(part.size());
    out += part;
    if (number && is_beyond_64_bits(part)) out += "e0";
  }
  return out;
}

}  // namespace

Body::Body(std::string_view text) {
  element root;
  auto error = simdjson::EMPTY;  // a text without bytes need not have an address either
  if (!text.empty()) error = parser_.parse(text.data(), text.size()).get(root);
  if (error == simdjson::NUMBER_ERROR || error == simdjson::DEPTH_ERROR) {
    auto opening = [](char c) { return c == '[' || c == '{'; };
    auto depth = static_cast<size_t>(std::count_if(text.begin(), text.end(), opening));
    std::string rewritten = with_exponents(text);
    error = parser_.allocate(rewritten.size(), std::max(depth + 1, parser_.max_depth()));
    if (!error) error = parser_.parse(rewritten).get(root);
  }
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  if (error) throw postern::Dead("the body is not JSON");
  if (root.get(root_)) throw postern::Dead("the body must be an object");
}

}  // namespace openphone
