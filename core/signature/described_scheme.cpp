#include "core/signature/described_scheme.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "core/http/characters.h"
#include "core/signature/compiled.h"
#include "core/signature/secret.h"

namespace postern::signature {
namespace {

using Kind = Piece::Kind;

constexpr uint32_t kDefaultToleranceS = 300;
constexpr uint32_t kMaxToleranceS = 24 * 3600;
// A header with sixteen timestamps would have the body hashed sixteen times before anything is verified. Signatures
// made during a rotation share one timestamp.
constexpr size_t kMaxTimestamps = 4;

Status invalid(std::string message) { return Status(Code::kInvalid, std::move(message)); }

bool is_token(std::string_view text) { return !text.empty() && http::all_chars(text, http::kTokenChar); }

Status check_headers(const SchemeDescription& d) {
  if (!is_token(d.header)) return invalid("header is not a header name");
  if (!d.timestamp_header.empty() && !is_token(d.timestamp_header))
    return invalid("timestamp_header is not a header name");
  if (!d.id_header.empty() && !is_token(d.id_header)) return invalid("id_header is not a header name");
  const auto same = [](const std::string& a, const std::string& b) {
    return !a.empty() && http::equals_ignoring_case(a, b);
  };
  if (same(d.header, d.timestamp_header) || same(d.header, d.id_header) || same(d.timestamp_header, d.id_header)) {
    return invalid("the same header has two roles");
  }
  return Status::ok();
}

// The literals next to {id}. An id that holds one of them could be cut elsewhere: the signature over id "a" and body
// "1.2.x" would also be good for id "a.1" and body "x" (Standard Webhooks 1.0.0, "Signature scheme": no "." in the id).
Result<std::vector<std::string>> id_delimiters(const Template& pieces) {
  std::vector<std::string> delimiters;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].kind != Kind::kId) continue;
    if (i > 0) delimiters.push_back(pieces[i - 1].literal);
    if (i + 1 < pieces.size()) delimiters.push_back(pieces[i + 1].literal);
  }
  for (const std::string& delimiter : delimiters) {
    if (delimiter.empty()) return invalid("signed_bytes has nothing between {id} and its neighbour");
  }
  return delimiters;
}

Status check_signed(const SchemeDescription& d, const HeaderFormat& format, const Template& pieces) {
  if (!contains(pieces, Kind::kBody)) return invalid("signed_bytes has no {body}");
  if (contains(pieces, Kind::kId) && d.id_header.empty())
    return invalid("signed_bytes has {id}, but there is no id_header");
  const bool in_header = !d.timestamp_header.empty();
  if (in_header && format.has_timestamp())
    return invalid("the timestamp is in format and in timestamp_header: one of them");
  const bool has_timestamp = in_header || format.has_timestamp();
  if (contains(pieces, Kind::kTimestamp) != has_timestamp) {
    // An unsigned timestamp is one that whoever replays a request sets as he likes.
    return has_timestamp ? invalid("the timestamp is not signed: signed_bytes has no {timestamp}")
                         : invalid("signed_bytes has {timestamp}, but neither format nor timestamp_header gives one");
  }
  if (d.tolerance_s > kMaxToleranceS) return invalid("tolerance is over 24 hours");
  return Status::ok();
}

Result<std::vector<KeyedMac>> make_keys(const SchemeDescription& d) {
  if (d.secrets.empty()) return invalid("scheme '" + d.name + "' has no secret");
  std::vector<KeyedMac> keys;
  for (const std::string& secret : d.secrets) {
    const auto which = [&](const Status& fault) {
      return invalid("secret " + std::to_string(keys.size() + 1) + " of scheme '" + d.name + "' " + fault.message());
    };
    const auto bytes = decode_secret(secret, d.secret_encoding);
    if (!bytes) return which(bytes.status());
    if (bytes->span().empty()) return which(invalid("is empty"));
    auto key = KeyedMac::create(d.algorithm, bytes->span());
    if (!key) return which(invalid("cannot be used: " + key.status().message()));
    keys.push_back(std::move(*key));
  }
  return keys;
}

// A secret is not kept longer than it takes to make a key of it, whether that works or not.
class WipeAtEnd {
 public:
  explicit WipeAtEnd(std::vector<std::string>& secrets) : secrets_(secrets) {}
  ~WipeAtEnd() { wipe(secrets_); }

 private:
  std::vector<std::string>& secrets_;
};

Verdict take(const http::Request& request, const std::string& name, std::string_view& value) {
  size_t found = 0;
  for (size_t i = 0; i < request.header_count(); ++i) {
    if (!http::equals_ignoring_case(request.header_name(i), name)) continue;
    value = request.header_value(i);
    ++found;
  }
  // Two parties that take different ones of two headers can be made to disagree about what was signed.
  return found == 0 ? Verdict::kMissing : found == 1 ? Verdict::kAccepted : Verdict::kDoubled;
}

bool within(std::string_view timestamp, TimeUnit unit, int64_t now_ms, int64_t tolerance_ms) {
  int64_t at = 0;
  std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), at);  // at most 15 digits: see is_timestamp()
  if (unit == TimeUnit::kSeconds) at *= 1000;
  int64_t age = 0;
  if (__builtin_sub_overflow(now_ms, at, &age)) return false;
  return -tolerance_ms <= age && age <= tolerance_ms;
}

size_t count_timestamps(std::span<const HeaderFormat::Candidate> candidates) {
  size_t distinct = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto earlier = candidates.first(i);
    distinct += std::none_of(earlier.begin(), earlier.end(),
                             [&](const auto& other) { return other.timestamp == candidates[i].timestamp; });
  }
  return distinct;
}

}  // namespace

DescribedScheme::DescribedScheme(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
DescribedScheme::DescribedScheme(DescribedScheme&&) noexcept = default;
DescribedScheme& DescribedScheme::operator=(DescribedScheme&&) noexcept = default;
DescribedScheme::~DescribedScheme() = default;

Result<DescribedScheme> DescribedScheme::compile(SchemeDescription description) {
  static constexpr Kind kAllowed[] = {Kind::kId, Kind::kTimestamp, Kind::kBody};
  const WipeAtEnd guard(description.secrets);
  const std::string context = "scheme '" + description.name + "'";
  if (description.format.empty()) description.format = "{signature}";
  if (description.tolerance_s == 0) description.tolerance_s = kDefaultToleranceS;

  if (auto status = check_headers(description); !status) return status.with_context(context);
  auto format = HeaderFormat::parse(description);
  if (!format) return format.status().with_context(context);
  auto signed_bytes = parse_template(description.signed_bytes, "signed_bytes", kAllowed);
  if (!signed_bytes) return signed_bytes.status().with_context(context);
  if (auto status = check_signed(description, *format, *signed_bytes); !status) return status.with_context(context);
  auto delimiters = id_delimiters(*signed_bytes);
  if (!delimiters) return delimiters.status().with_context(context);
  auto keys = make_keys(description);
  if (!keys) return keys.status();

  wipe(description.secrets);
  return DescribedScheme(std::make_unique<Compiled>(Compiled{
      std::move(description), std::move(*format), std::move(*signed_bytes), std::move(*delimiters), std::move(*keys)}));
}

const SchemeDescription& DescribedScheme::description() const { return compiled_->description; }

Verdict DescribedScheme::verify(const http::Request& request, int64_t now_ms) const {
  std::string_view id;
  HeaderFormat::Candidates candidates;
  if (const Verdict verdict = compiled_->read(request, id, candidates); verdict != Verdict::kAccepted) return verdict;

  const SchemeDescription& d = description();
  if (!d.timestamp_header.empty() || compiled_->format.has_timestamp()) {
    const auto end = candidates.list.begin() + static_cast<std::ptrdiff_t>(candidates.count);
    const auto fresh_end = std::remove_if(candidates.list.begin(), end, [&](const HeaderFormat::Candidate& candidate) {
      return !within(candidate.timestamp, d.timestamp_unit, now_ms, int64_t{1000} * d.tolerance_s);
    });
    candidates.count = static_cast<size_t>(fresh_end - candidates.list.begin());
    if (candidates.count == 0) return Verdict::kStale;
  }
  return compiled_->is_authentic(candidates.span(), id, request.body()) ? Verdict::kAccepted : Verdict::kWrong;
}

Verdict DescribedScheme::verify(const Presented& presented, Explanation* explanation) const {
  Verdict verdict = verify(presented.request, presented.now_ms);
  if (explanation != nullptr) explain(presented.request, presented.now_ms, verdict, *explanation);
  return verdict;
}

Result<Headers> DescribedScheme::sign(const Draft& draft) const {
  return sign(draft.id, draft.request.body(), draft.now_ms);
}

Result<std::shared_ptr<const Scheme>> DescribedScheme::with_secrets(std::vector<std::string> secrets) const {
  SchemeDescription other = description();
  other.secrets = std::move(secrets);
  auto scheme = compile(std::move(other));
  if (!scheme) return scheme.status();
  return std::shared_ptr<const Scheme>(std::make_shared<const DescribedScheme>(std::move(*scheme)));
}

Headers DescribedScheme::sign(std::string_view id, std::string_view body, int64_t now_ms) const {
  const SchemeDescription& d = description();
  const int64_t at = std::max<int64_t>(now_ms, 0);
  const std::string timestamp = std::to_string(d.timestamp_unit == TimeUnit::kSeconds ? at / 1000 : at);
  Mac mac;
  compiled_->mac(compiled_->keys.front(), id, timestamp, body, mac);
  Headers headers;
  if (!d.id_header.empty()) headers.emplace_back(d.id_header, id);
  if (!d.timestamp_header.empty()) headers.emplace_back(d.timestamp_header, timestamp);
  headers.emplace_back(d.header, compiled_->format.build(mac, timestamp));
  return headers;
}

// Everything that can be said without the secrets and the clock. Accepted: go on.
Verdict DescribedScheme::Compiled::read(const http::Request& request, std::string_view& id,
                               HeaderFormat::Candidates& candidates) const {
  std::string_view signature, timestamp;
  const std::pair<const std::string*, std::string_view*> needed[] = {
      {&description.header, &signature}, {&description.timestamp_header, &timestamp}, {&description.id_header, &id}};
  for (const auto& [name, value] : needed) {
    if (name->empty()) continue;
    if (const Verdict verdict = take(request, *name, *value); verdict != Verdict::kAccepted) return verdict;
  }
  if (!format.match(signature, candidates)) return Verdict::kMalformed;
  if (!description.timestamp_header.empty()) {
    if (!is_timestamp(timestamp)) return Verdict::kMalformed;
    for (size_t i = 0; i < candidates.count; ++i) candidates.list[i].timestamp = timestamp;
  }
  if (count_timestamps(candidates.span()) > kMaxTimestamps) return Verdict::kMalformed;
  if (!description.id_header.empty() && !is_id(id)) return Verdict::kMalformed;
  return Verdict::kAccepted;
}

bool DescribedScheme::Compiled::is_id(std::string_view id) const {
  return !id.empty() && std::none_of(id_delimiters.begin(), id_delimiters.end(), [id](const std::string& delimiter) {
    return id.find(delimiter) != std::string_view::npos;
  });
}

std::array<std::string_view, kMaxPieces> DescribedScheme::Compiled::pieces(std::string_view id, std::string_view timestamp,
                                                                         std::string_view body) const {
  std::array<std::string_view, kMaxPieces> texts;
  for (size_t i = 0; i < signed_bytes.size(); ++i) {
    const Piece& piece = signed_bytes[i];
    texts[i] = piece.kind == Kind::kId          ? id
               : piece.kind == Kind::kTimestamp ? timestamp
               : piece.kind == Kind::kBody      ? body
                                                : std::string_view(piece.literal);
  }
  return texts;
}

std::string DescribedScheme::Compiled::signed_text(std::string_view id, std::string_view timestamp, std::string_view body) const {
  std::string text;
  auto texts = pieces(id, timestamp, body);
  for (std::string_view piece : std::span(texts).first(signed_bytes.size())) text += piece;
  return text;
}

void DescribedScheme::Compiled::mac(const KeyedMac& key, std::string_view id, std::string_view timestamp, std::string_view body,
                                    Mac& out) const {
  auto texts = pieces(id, timestamp, body);
  key.compute(std::span(texts).first(signed_bytes.size()), out);
}

// One MAC for each secret and distinct timestamp, compared with every signature that goes with it. No early exit:
// neither which secret nor which entry matched shows in the time.
bool DescribedScheme::Compiled::is_authentic(std::span<const HeaderFormat::Candidate> candidates, std::string_view id,
                                    std::string_view body) const {
  const size_t size = mac_size(description.algorithm);
  unsigned matches = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto same_time = [&](const auto& other) { return other.timestamp == candidates[i].timestamp; };
    const auto earlier = candidates.first(i);
    if (std::any_of(earlier.begin(), earlier.end(), same_time)) continue;
    for (const KeyedMac& key : keys) {
      Mac expected;
      mac(key, id, candidates[i].timestamp, body, expected);
      for (const auto& candidate : candidates.subspan(i)) {
        if (!same_time(candidate)) continue;
        matches |= static_cast<unsigned>(CRYPTO_memcmp(candidate.signature.data(), expected.data(), size) == 0);
      }
    }
  }
  return matches != 0;
}

}  // namespace postern::signature
