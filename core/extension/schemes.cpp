// postern.schemes/1
#include <postern/ext/schemes.h>

#include <memory>

#include "core/extension/convert.h"
#include "core/extension/table.h"

namespace postern::extension {
namespace {

using namespace signature;

template <typename Enum>
struct Choice {
  uint32_t abi;
  Enum ours;
};

template <typename Enum, size_t N>
Status choose(const Choice<Enum> (&choices)[N], uint32_t abi, const char* what, Enum& out) {
  for (const auto& choice : choices) {
    if (choice.abi == abi) {
      out = choice.ours;
      return Status::ok();
    }
  }
  return {Code::kInvalid, std::string("unknown ") + what + " " + std::to_string(abi)};
}

constexpr Choice<Algorithm> kAlgorithms[] = {
    {POSTERN_HMAC_SHA1, Algorithm::kHmacSha1}, {POSTERN_HMAC_SHA256, Algorithm::kHmacSha256}, {POSTERN_HMAC_SHA512, Algorithm::kHmacSha512}};
constexpr Choice<Encoding> kEncodings[] = {{POSTERN_ENCODING_HEX, Encoding::kHex}, {POSTERN_ENCODING_BASE64, Encoding::kBase64}};
constexpr Choice<SecretEncoding> kSecretEncodings[] = {
    {POSTERN_SECRET_RAW, SecretEncoding::kRaw}, {POSTERN_SECRET_BASE64, SecretEncoding::kBase64}, {POSTERN_SECRET_WHSEC, SecretEncoding::kWhsec}};
constexpr Choice<TimeUnit> kTimeUnits[] = {
    {0, TimeUnit::kSeconds}, {POSTERN_TIME_SECONDS, TimeUnit::kSeconds}, {POSTERN_TIME_MILLISECONDS, TimeUnit::kMilliseconds}};

Status describe(const postern_scheme_desc& theirs, SchemeDescription& ours) {
  ours.name = copy(theirs.name);
  ours.header = copy(theirs.header);
  if (theirs.format.len > 0) ours.format = copy(theirs.format);
  ours.separator = copy(theirs.separator);
  ours.timestamp_header = copy(theirs.timestamp_header);
  ours.id_header = copy(theirs.id_header);
  if (theirs.signed_bytes.len > 0) ours.signed_bytes = copy(theirs.signed_bytes);
  if (theirs.tolerance_s > 0) ours.tolerance_s = theirs.tolerance_s;
  for (size_t i = 0; i < theirs.secrets_len; ++i) ours.secrets.push_back(copy(theirs.secrets[i]));
  if (Status s = choose(kAlgorithms, theirs.algorithm, "algorithm", ours.algorithm); !s) return s;
  if (Status s = choose(kEncodings, theirs.signature_encoding, "signature encoding", ours.signature_encoding); !s) return s;
  if (Status s = choose(kSecretEncodings, theirs.secret_encoding, "secret encoding", ours.secret_encoding); !s) return s;
  return choose(kTimeUnits, theirs.timestamp_unit, "timestamp unit", ours.timestamp_unit);
}

postern_status add(postern_host* host, const postern_scheme_desc* desc) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "schemes are added in init");
    SchemeDescription description;
    if (Status s = describe(sized(desc), description); !s) return refuse(host, s);
    for (const auto& scheme : host->registrations.schemes) {
      if (scheme->name() == description.name) return refuse(host, {Code::kInvalid, "scheme '" + description.name + "' was added before"});
    }
    auto scheme = Scheme::compile(std::move(description));
    if (!scheme) return refuse(host, scheme.status());
    host->registrations.schemes.push_back(std::make_shared<const Scheme>(std::move(*scheme)));
    return POSTERN_OK;
  });
}

}  // namespace

const void* schemes() {
  static const postern_ext_schemes table{add};
  return &table;
}

}  // namespace postern::extension
