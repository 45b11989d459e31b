// SchemeDescription: a signature scheme as data, what postern_scheme_desc says, in C++. Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postern::signature {

enum class Algorithm { kHmacSha1, kHmacSha256, kHmacSha512 };
enum class Encoding { kHex, kBase64 };
enum class SecretEncoding { kRaw, kBase64, kWhsec };
enum class TimeUnit { kSeconds, kMilliseconds };

struct SchemeDescription {
  std::string name;
  Algorithm algorithm = Algorithm::kHmacSha256;
  std::string header;
  std::string format = "{signature}";
  std::string separator;  // empty or one character
  std::string timestamp_header;
  std::string id_header;
  std::string signed_bytes = "{body}";
  Encoding signature_encoding = Encoding::kHex;
  SecretEncoding secret_encoding = SecretEncoding::kRaw;
  TimeUnit timestamp_unit = TimeUnit::kSeconds;
  uint32_t tolerance_s = 300;
  std::vector<std::string> secrets;
};

}  // namespace postern::signature
