// Secrets as bytes, wiped when they go. Thread-safety: plain values.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/signature/description.h"

namespace postern::signature {

// Never grows, so that no reallocation leaves a copy behind.
class SecretBytes {
 public:
  explicit SecretBytes(size_t size) : bytes_(size) {}
  explicit SecretBytes(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
  SecretBytes(SecretBytes&&) noexcept = default;
  SecretBytes& operator=(SecretBytes&&) = delete;
  ~SecretBytes();

  std::span<unsigned char> span() { return bytes_; }
  std::span<const unsigned char> span() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::vector<unsigned char> bytes_;
};

// What the configured text stands for. The error says what is wrong ("is empty", "is not base64"), never what the text
// is. kWhsec: "whsec_" and base64; the prefix and the padding may be missing (as the reference libraries take it).
Result<SecretBytes> decode_secret(std::string_view text, SecretEncoding encoding);

// Overwrites the texts and empties the list.
void wipe(std::vector<std::string>& secrets);

}  // namespace postern::signature
