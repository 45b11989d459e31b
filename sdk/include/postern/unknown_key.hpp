// postern/unknown_key.hpp - what to say of a key of `config:` that the plugin does not know. Standard library only; not part of plugin.hpp.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::inline sdk {

namespace detail {

inline size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row.back();
}

}  // namespace detail

// The JSON pointer of a member of the whole (RFC 6901, section 3), for Setup::config_fault().
inline std::string pointer_to(std::string_view name) {
  std::string pointer = "/";
  for (char c : name) pointer += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return pointer;
}

// "unknown key 'auth_token'; did you mean 'auth_tokens'?", or what is known where nothing is near.
inline std::string unknown_key(std::string_view name, std::span<const std::string_view> known) {
  constexpr size_t kFarthest = 4, kLongest = 64;  // an edit distance takes the product of both lengths
  std::string_view best;
  std::string all;
  size_t distance = kFarthest;
  for (std::string_view key : known) {
    size_t d = name.size() > kLongest ? kFarthest : detail::edit_distance(name, key);
    if (d < distance) distance = d, best = key;
    all.append(all.empty() ? "" : ", ").append(key);
  }
  std::string text = "unknown key '" + std::string(name) + "'";
  return text + (best.empty() ? "; known are " + all : "; did you mean '" + std::string(best) + "'?");
}

}  // namespace postern::inline sdk
