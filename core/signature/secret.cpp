#include "core/signature/secret.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "core/base/encoding.h"

namespace postern::signature {
namespace {

Result<SecretBytes> decode_base64_secret(std::string_view text) {
  const auto size = base64_decoded_size(text);
  if (!size) return Status(Code::kInvalid, "is not base64");
  SecretBytes bytes(*size);
  if (!decode_base64(text, bytes.span())) return Status(Code::kInvalid, "is not base64");
  return bytes;
}

Result<SecretBytes> decode_whsec_secret(std::string_view text) {
  constexpr std::string_view kPrefix = "whsec_";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  if (text.empty()) return Status(Code::kInvalid, "is empty");
  if (text.size() % 4 == 0) return decode_base64_secret(text);
  SecretBytes padded(text.size() + (4 - text.size() % 4));
  std::copy(text.begin(), text.end(), padded.span().begin());
  std::fill(padded.span().begin() + static_cast<std::ptrdiff_t>(text.size()), padded.span().end(), '=');
  return decode_base64_secret(padded.text());
}

}  // namespace

SecretBytes::~SecretBytes() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Result<SecretBytes> decode_secret(std::string_view text, SecretEncoding encoding) {
  if (text.empty()) return Status(Code::kInvalid, "is empty");
  switch (encoding) {
    case SecretEncoding::kRaw:
      return SecretBytes(text);
    case SecretEncoding::kBase64:
      return decode_base64_secret(text);
    case SecretEncoding::kWhsec:
      return decode_whsec_secret(text);
  }
  return Status(Code::kInvalid, "has no such encoding");
}

void wipe(std::vector<std::string>& secrets) {
  for (std::string& secret : secrets) OPENSSL_cleanse(secret.data(), secret.size());
  secrets.clear();
}

}  // namespace postern::signature
