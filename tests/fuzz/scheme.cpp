// Described signature schemes: descriptions, and headers that claim to be signed. Input: a byte for algorithm and encodings, then a line
// each with format, separator, signed_bytes, the header's value and the timestamp header's value; the rest is the body.
//
// What a scheme signs it accepts; nothing else passes: no value that the input brings, no changed body, no other secret, no stale time.
#include <algorithm>
#include <string>

#include "core/signature/described_scheme.h"
#include "core/base/encoding.h"
#include "core/signature/format.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using namespace signature;

constexpr int64_t kNow = 1'700'000'000'000;
const std::string kSecret = "a-secret-that-no-text-may-show";
const std::string kId = "evt";

struct Case {
  SchemeDescription description;
  std::string header, timestamp, body;
  bool knows_secret = false;  // libFuzzer sees what texts are compared with, and puts that into its inputs
};

Case read_case(const uint8_t* data, size_t size) {
  Input input(data, size);
  Case out;
  out.knows_secret = input.rest().find(kSecret) != std::string_view::npos;
  const uint8_t choice = input.byte();
  SchemeDescription& d = out.description;
  d.name = "fuzzed";
  d.header = "x-signature";
  d.algorithm = static_cast<Algorithm>(choice % 3);
  d.signature_encoding = (choice & 4) != 0 ? Encoding::kBase64 : Encoding::kHex;
  d.timestamp_unit = (choice & 8) != 0 ? TimeUnit::kMilliseconds : TimeUnit::kSeconds;
  if ((choice & 16) != 0) d.timestamp_header = "x-timestamp";
  if ((choice & 32) != 0) d.id_header = "x-id";
  d.format = input.line();
  d.separator = input.line();
  d.signed_bytes = input.line();
  d.secrets = {kSecret};
  out.header = input.line();
  out.timestamp = input.line();
  out.body = input.rest();
  return out;
}

http::Request request(const Headers& headers, const std::string& body) {
  std::string lines;
  for (const auto& [name, value] : headers) lines += name + ": " + value + "\r\n";
  return http::Request::from_parts("POST", "/", lines, body);
}

void check_header(const SchemeDescription& description, const std::string& value) {
  const auto format = HeaderFormat::parse(description);
  EXPECT(format.is_ok());
  HeaderFormat::Candidates found;
  if (!format->match(value, found)) return;
  EXPECT(found.count >= 1 && found.count <= HeaderFormat::kMaxEntries);
  for (const auto& candidate : found.span()) {
    EXPECT(lies_in(candidate.timestamp, value));
    EXPECT(candidate.timestamp.empty() || is_timestamp(candidate.timestamp));
    EXPECT(format->has_timestamp() == !candidate.timestamp.empty());
  }
}

// Verified twice, since `postern verify` takes another way than the gateway.
Verdict verify(const DescribedScheme& scheme, const http::Request& request, int64_t now) {
  const Verdict verdict = scheme.verify(request, now);
  Explanation explanation;
  EXPECT(scheme.verify(Presented{request, now, {}, "192.0.2.1"}, &explanation) == verdict);
  for (const std::string& line : explanation.lines()) EXPECT(line.find(kSecret) == std::string::npos);
  return verdict;
}

void check_signed(const DescribedScheme& scheme, const Case& c) {
  const Headers headers = scheme.sign(kId, c.body, kNow);
  EXPECT(!headers.empty());
  const Verdict verdict = verify(scheme, request(headers, c.body), kNow);
  // An id that holds the literal beside it is refused, and must be; so is one that a scheme has no room for.
  const bool id_cut = !scheme.description().id_header.empty() && verdict == Verdict::kMalformed;
  EXPECT_THAT(verdict == Verdict::kAccepted || id_cut, headers.back().second);
  if (id_cut) return;
  EXPECT(verify(scheme, request(headers, c.body + "x"), kNow) == Verdict::kWrong);
  Headers doubled = headers;
  doubled.push_back(headers.back());
  EXPECT(verify(scheme, request(doubled, c.body), kNow) == Verdict::kDoubled);

  const auto other = scheme.with_secrets({kSecret + "2"});
  EXPECT(other.is_ok());
  const std::vector<std::string> urls;
  EXPECT((*other)->verify({request(headers, c.body), kNow, urls, ""}, nullptr) == Verdict::kWrong);

  const int64_t tolerance = int64_t{1000} * scheme.description().tolerance_s;
  const bool timed = scheme.description().signed_bytes.find("{timestamp}") != std::string::npos;
  for (const int64_t later : {kNow + tolerance + 1000, kNow - tolerance - 1000}) {
    EXPECT(verify(scheme, request(headers, c.body), later) == (timed ? Verdict::kStale : Verdict::kAccepted));
  }
}

void check_encodings(std::string_view text) {
  if (const auto size = base64_decoded_size(text)) {
    std::string bytes(*size, '\0');
    const std::span<unsigned char> out(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size());
    if (decode_base64(text, out)) EXPECT(encode_base64(out) == text);
  }
  std::string bytes(text.size() / 2, '\0');
  const std::span<unsigned char> out(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size());
  if (!decode_hex(text, out)) return;
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  EXPECT(encode_hex(out) == lower);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  const Case c = read_case(data, size);
  if (c.knows_secret) return 0;
  check_encodings(c.header);
  const auto scheme = DescribedScheme::compile(c.description);
  if (!scheme) {
    EXPECT(!scheme.status().message().empty() && scheme.status().message().find(kSecret) == std::string::npos);
    return 0;
  }
  check_header(scheme->description(), c.header);
  const Headers headers = {{"x-signature", c.header}, {"x-timestamp", c.timestamp}, {"x-id", kId}};
  EXPECT_THAT(verify(*scheme, request(headers, c.body), kNow) != Verdict::kAccepted, c.header);
  check_signed(*scheme, c);
  return 0;
}
