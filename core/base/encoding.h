// Hex and base64, strict: one text for each byte string, apart from the case of hex digits.
// Decoding neither branches on nor looks up by the decoded bytes, so that reading a secret tells nothing about it by
// its time; only whether and how long a text is shows. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postern {

// `text` has exactly two digits for each byte of `out`, of either case. On false `out` holds nothing of use.
bool decode_hex(std::string_view text, std::span<unsigned char> out);

// Lower case.
std::string encode_hex(std::span<const unsigned char> bytes);

// How many bytes a padded base64 text (RFC 4648 §4) stands for; nothing where its length or its padding can't be right.
std::optional<size_t> base64_decoded_size(std::string_view text);

// `text` is padded base64 of exactly out.size() bytes, without line breaks, its unused bits zero (RFC 4648 §3.5).
// On false `out` holds nothing of use.
bool decode_base64(std::string_view text, std::span<unsigned char> out);

std::string encode_base64(std::span<const unsigned char> bytes);

// The number of characters that `bytes` bytes take in padded base64.
constexpr size_t base64_encoded_size(size_t bytes) { return (bytes + 2) / 3 * 4; }

}  // namespace postern
