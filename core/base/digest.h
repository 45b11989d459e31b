// SHA-256. Thread-safety: pure functions.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace postern {

using Sha256 = std::array<unsigned char, 32>;

Sha256 sha256(std::string_view bytes);

// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace postern
