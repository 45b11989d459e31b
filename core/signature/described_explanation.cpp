// Why a described scheme decided as it did, for `postern verify`.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base/clock.h"
#include "core/signature/compiled.h"
#include "core/base/digest.h"

namespace postern::signature {
namespace {

int64_t to_ms(std::string_view timestamp, TimeUnit unit) {
  int64_t at = 0;
  std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), at);
  return unit == TimeUnit::kSeconds ? at * 1000 : at;
}

std::string difference(int64_t at_ms, int64_t now_ms) {
  int64_t age_ms = now_ms - at_ms;
  return fmt::format("{}.{:03} s {}", std::abs(age_ms) / 1000, std::abs(age_ms) % 1000, age_ms < 0 ? "in the future" : "ago");
}

void explain_headers(const SchemeDescription& d, const http::Request& request, Explanation& explanation) {
  for (const std::string* name : {&d.header, &d.timestamp_header, &d.id_header}) {
    if (name->empty()) continue;
    size_t count = request.count(*name);
    explanation.add(fmt::format("header {}: {}", *name, count == 0 ? "missing" : count == 1 ? "there" : "there more than once: refused"));
  }
}

}  // namespace

void DescribedScheme::explain(const http::Request& request, int64_t now_ms, Verdict verdict, Explanation& explanation) const {
  const SchemeDescription& d = description();
  explain_headers(d, request, explanation);
  std::string_view id;
  HeaderFormat::Candidates candidates;
  if (Verdict read = compiled_->read(request, id, candidates); read != Verdict::kAccepted) {
    if (read == Verdict::kMalformed) {
      explanation.add(fmt::format("{} does not read as \"{}\"{}", d.header, d.format,
                                  d.separator.empty() ? "" : ", in a list divided by \"" + d.separator + "\""));
      if (!d.timestamp_header.empty()) explanation.add(fmt::format("or {} is not a number of 1 to 15 digits", d.timestamp_header));
      if (!d.id_header.empty()) explanation.add(fmt::format("or {} is empty or holds what divides the signed parts", d.id_header));
    }
    return;
  }
  std::string_view last = "-";
  for (const auto& candidate : candidates.span()) {
    if (candidate.timestamp == last) continue;
    last = candidate.timestamp;
    if (!last.empty()) {
      int64_t at = to_ms(last, d.timestamp_unit);
      explanation.add(fmt::format("timestamp {} is {}, {}; {} s are tolerated", last, iso8601(at), difference(at, now_ms), d.tolerance_s));
    }
    std::string signed_text = compiled_->signed_text(id, last, request.body());
    explanation.add(fmt::format("signed: \"{}\", {} bytes, SHA-256 {}", d.signed_bytes, signed_text.size(), sha256_hex(signed_text)));
  }
  explanation.add(fmt::format("body: {} bytes, SHA-256 {}", request.body().size(), sha256_hex(request.body())));
  if (verdict == Verdict::kStale) {
    bool right = compiled_->is_authentic(candidates.span(), id, request.body());
    explanation.add(
        right ? "the signature itself is right: only its time is not (a replay, a slow queue, or a wrong clock; --at tries another time)"
              : "the signature is not right either");
    return;
  }
  explanation.add(fmt::format("{} signature{} in the header, {} secret{} tried: {}", candidates.count, candidates.count == 1 ? "" : "s",
                              compiled_->keys.size(), compiled_->keys.size() == 1 ? "" : "s",
                              verdict == Verdict::kAccepted ? "one matches" : "none matches"));
  if (verdict == Verdict::kWrong) {
    explanation.add("either the secret is not the provider's, or the body is not what the provider sent (a proxy that rewrites it, an "
                    "editor that added a line end)");
  }
}

}  // namespace postern::signature
