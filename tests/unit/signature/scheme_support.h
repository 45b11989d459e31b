// What the tests of core/signature share. Thread-safety: pure functions.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/signature/described_scheme.h"

namespace postern::signature::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr int64_t kNow = 1'700'000'000'000;  // ms

inline http::Request request(const Headers& headers, std::string body) {
  std::string lines = "Host: gateway\r\nContent-Type: application/json\r\n";
  for (const auto& [name, value] : headers) lines += name + ": " + value + "\r\n";
  return http::Request::from_parts("POST", "/hook", lines, std::move(body));
}

// Compiles what must compile.
inline DescribedScheme scheme(SchemeDescription description) {
  auto result = DescribedScheme::compile(std::move(description));
  if (!result) throw std::runtime_error(result.status().message());
  return std::move(*result);
}

// id.timestamp.body, timestamp and id in headers of their own, a list of versioned signatures.
inline SchemeDescription listed() {
  SchemeDescription d;
  d.name = "listed";
  d.header = "x-signature";
  d.format = "v1,{signature}";
  d.separator = " ";
  d.timestamp_header = "x-timestamp";
  d.id_header = "x-id";
  d.signed_bytes = "{id}.{timestamp}.{body}";
  d.signature_encoding = Encoding::kBase64;
  d.secrets = {"one secret"};
  return d;
}

// timestamp and signatures as a list of keys and values.
inline SchemeDescription keyed() {
  SchemeDescription d;
  d.name = "keyed";
  d.header = "x-signature";
  d.format = "t={timestamp}|v1={signature}";
  d.separator = ",";
  d.signed_bytes = "{timestamp}.{body}";
  d.secrets = {"one secret"};
  return d;
}

// Entries that are complete on their own: timestamp and signature.
inline SchemeDescription complete() {
  SchemeDescription d;
  d.name = "complete";
  d.header = "x-signature";
  d.format = "hmac;1;{timestamp};{signature}";
  d.separator = ",";
  d.signed_bytes = "{timestamp}.{body}";
  d.signature_encoding = Encoding::kBase64;
  d.timestamp_unit = TimeUnit::kMilliseconds;
  d.secrets = {"one secret"};
  return d;
}

// A signature over the body and nothing else.
inline SchemeDescription plain() {
  SchemeDescription d;
  d.name = "plain";
  d.header = "x-signature";
  d.format = "sha256={signature}";
  d.secrets = {"one secret"};
  return d;
}

}  // namespace postern::signature::testing
