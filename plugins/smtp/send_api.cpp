#include "send_api.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <chrono>

namespace smtp {
namespace {

constexpr std::string_view kPath = "/api/v1/email/send";
constexpr std::string_view kScheme = "Bearer ";
constexpr uint64_t kMaxBody = 40u << 20;  // attachments are base64 in it

// So that neither a token's bytes nor its length show in the time that a comparison takes.
std::array<unsigned char, 32> digest_of(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return digest;
}

bool verify(const postern::Verification& request) {
  const auto authorization = request.header("authorization");
  if (!authorization) return false;
  if (request.header("authorization", 1)) {
    request.explain("there is more than one Authorization header");
    return false;
  }
  const bool right = is_authorized(*authorization, request.secrets());
  request.explain(right ? "the token is one of the configuration's"
                        : "the token is none of api.tokens, or it is not of the form Bearer TOKEN");
  return right;
}

}  // namespace

// RFC 6750, 2.1; the scheme's name has no case (RFC 9110, 11.1).
bool is_authorized(std::string_view authorization, const std::vector<std::string_view>& tokens) {
  if (authorization.size() <= kScheme.size() || curl_strnequal(authorization.data(), kScheme.data(), kScheme.size()) == 0) return false;
  const auto given = digest_of(authorization.substr(kScheme.size()));
  int matches = 0;
  for (const std::string_view token : tokens) {
    const auto expected = digest_of(token);
    matches |= CRYPTO_memcmp(given.data(), expected.data(), given.size()) == 0 ? 1 : 0;
  }
  return matches != 0;
}

void add_send_api(postern::Setup& setup, const std::vector<std::string>& tokens) {
  if (tokens.empty()) return;
  auto sign = [](postern::Signing& signing) { signing.add_header("Authorization", std::string(kScheme) + std::string(signing.secret())); };
  setup.scheme_functions({.name = "bearer", .header = "authorization", .secrets = tokens, .verify = &verify, .sign = sign});
  setup.route({.path = kPath,
               .schemes = {{"bearer", "header:idempotency-key"}},
               .content_types = "application/json",
               .type_from = "const:send",  // nothing is `required`: that would be one text, and `to` may be a list, or there is `bcc` alone
               .max_body = kMaxBody,
               .unordered = true,
               .dedupe_window = std::chrono::hours(24)});
  setup.sample({.name = "send",
                .target = kPath,
                .body = R"({"to":"ann@example.com","subject":"Hello","text":"A mail by Postern."})",
                .headers = {"Idempotency-Key", "{{id}}"}});
}

}  // namespace smtp
