// postern.schemes/1
#include <postern/ext/schemes.h>

#include <memory>

#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/http/characters.h"
#include "core/plugin/call.h"
#include "core/signature/described_scheme.h"
#include "core/signature/function_scheme.h"

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

constexpr Choice<Algorithm> kAlgorithms[] = {{POSTERN_HMAC_SHA1, Algorithm::kHmacSha1},
                                             {POSTERN_HMAC_SHA256, Algorithm::kHmacSha256},
                                             {POSTERN_HMAC_SHA512, Algorithm::kHmacSha512}};
constexpr Choice<Encoding> kEncodings[] = {{POSTERN_ENCODING_HEX, Encoding::kHex}, {POSTERN_ENCODING_BASE64, Encoding::kBase64}};
constexpr Choice<SecretEncoding> kSecretEncodings[] = {{POSTERN_SECRET_RAW, SecretEncoding::kRaw},
                                                       {POSTERN_SECRET_BASE64, SecretEncoding::kBase64},
                                                       {POSTERN_SECRET_WHSEC, SecretEncoding::kWhsec}};
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

Status keep(postern_host* host, std::shared_ptr<const Scheme> scheme) {
  for (const auto& other : host->registrations.schemes) {
    if (other->name() == scheme->name()) return {Code::kInvalid, "scheme '" + scheme->name() + "' was added before"};
  }
  host->registrations.schemes.push_back(std::move(scheme));
  return Status::ok();
}

postern_status add(postern_host* host, const postern_scheme_desc* desc) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "schemes are added in init");
    SchemeDescription description;
    if (Status s = describe(sized(desc), description); !s) return refuse(host, s);
    auto scheme = DescribedScheme::compile(std::move(description));
    if (!scheme) return refuse(host, scheme.status());
    Status kept = keep(host, std::make_shared<const DescribedScheme>(std::move(*scheme)));
    return kept ? POSTERN_OK : refuse(host, kept);
  });
}

std::vector<postern_str> borrow_all(const std::vector<std::string>& texts) {
  std::vector<postern_str> list;
  for (const std::string& text : texts) list.push_back(borrow(text));
  return list;
}

// The plugin's functions as the core calls them: see plugin/call.h. `host` outlives the scheme.
FunctionScheme::Functions functions_of(const postern_host* host, const postern_scheme_functions& theirs) {
  FunctionScheme::Functions functions;
  functions.verify = [host, theirs](const http::RequestView& request, int64_t now_ms, const FunctionScheme::Secrets& secrets,
                                    Explanation* explanation) {
    std::vector<postern_str> list = borrow_all(secrets);
    return plugin::to_status(plugin::guarded({host->crash_number, plugin::EntryPoint::kVerify}, [&] {
      return theirs.verify(host->self, theirs.user, handle_of(request), now_ms, list.data(), list.size(),
                           reinterpret_cast<postern_explain*>(explanation));
    }));
  };
  if (theirs.sign == nullptr) return functions;
  functions.sign = [host, theirs](const http::RequestView& request, int64_t now_ms, const std::string& secret, Headers& added) {
    return plugin::to_status(plugin::guarded({host->crash_number, plugin::EntryPoint::kSign}, [&] {
      return theirs.sign(host->self, theirs.user, handle_of(request), now_ms, borrow(secret), reinterpret_cast<postern_signing*>(&added));
    }));
  };
  return functions;
}

postern_status add_functions(postern_host* host, const postern_scheme_functions* desc) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "schemes are added in init");
    postern_scheme_functions theirs = sized(desc);
    std::string name = copy(theirs.name);
    if (theirs.verify == nullptr) return refuse(host, {Code::kInvalid, "scheme '" + name + "' has no verify function"});
    FunctionScheme::Secrets secrets;
    for (size_t i = 0; i < theirs.secrets_len; ++i) secrets.push_back(copy(theirs.secrets[i]));
    auto scheme = FunctionScheme::make(name, copy(theirs.header), std::move(secrets), functions_of(host, theirs));
    if (!scheme) return refuse(host, scheme.status());
    Status kept = keep(host, std::move(*scheme));
    return kept ? POSTERN_OK : refuse(host, kept);
  });
}

void explain(postern_explain* explanation, postern_str line) {
  if (explanation == nullptr) return;
  contained([&] {
    reinterpret_cast<Explanation*>(explanation)->add(view(line));
    return POSTERN_OK;
  });
}

postern_status add_header(postern_signing* signing, postern_str name, postern_str value) {
  return contained([&]() -> postern_status {
    bool fit = name.len > 0 && http::all_chars(view(name), http::kTokenChar) && http::all_chars(view(value), http::kFieldChar);
    if (!fit) return fail(POSTERN_E_INVALID, "not a header");
    reinterpret_cast<Headers*>(signing)->emplace_back(view(name), view(value));
    return POSTERN_OK;
  });
}

}  // namespace

const void* schemes() {
  static const postern_ext_schemes table{add, add_functions, explain, add_header};
  return &table;
}

}  // namespace postern::extension
