// Base64 (RFC 4648, section 4) as it is looked at on the way through: never decoded there. Thread-safety: any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace openai_realtime {

// The bytes that it stands for; nothing when it is not padded base64 in the standard alphabet. No text stands for no bytes.
std::optional<size_t> base64_size(std::string_view text);

// For audio that is converted. Decodes what base64_size() has passed.
std::string base64_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);

}  // namespace openai_realtime
