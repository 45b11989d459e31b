// Whatever a description says, what sign() makes verify() accepts, and nothing next to it; from any number of threads.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/unit/signature/scheme_support.h"

namespace postern::signature {
namespace {

using testing::Headers;
using testing::kNow;
using testing::request;
using testing::scheme;

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  bool flip() { return below(2) == 0; }

  std::string bytes(size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random_());
    return text;
  }

  SchemeDescription description() {
    SchemeDescription d;
    d.name = "random";
    d.header = "x-signature";
    d.algorithm = static_cast<Algorithm>(below(3));
    d.signature_encoding = static_cast<Encoding>(below(2));
    d.timestamp_unit = static_cast<TimeUnit>(below(2));
    d.tolerance_s = static_cast<uint32_t>(1 + below(86'400));
    shape(d);
    for (size_t i = 0; i <= below(3); ++i) add_secret(d);
    return d;
  }

 private:
  // A format, and signed bytes that go with it.
  void shape(SchemeDescription& d) {
    static constexpr const char* kPrefixes[] = {"", "sha=", "v0:", "hmac;1;"};
    const std::string prefix = kPrefixes[below(4)];
    bool timed = true;
    switch (below(4)) {
      case 0:
        d.format = prefix + "{signature}";
        timed = flip();
        if (timed) d.timestamp_header = "x-timestamp";
        break;
      case 1:
        d.format = prefix + "{timestamp}_{signature}";
        break;
      case 2:
        d.format = prefix + "{signature}@{timestamp}";
        break;
      default:
        d.format = "t={timestamp}|" + prefix + "{signature}";
        d.separator = " ";
    }
    if (d.separator.empty() && flip()) d.separator = "&";
    const bool identified = flip();
    if (identified) d.id_header = "x-id";
    d.signed_bytes =
        std::string(flip() ? "v1:" : "") + (timed ? "{timestamp}" : "") + (identified ? ".{id}." : "") + "{body}";
  }

  void add_secret(SchemeDescription& d) {
    d.secret_encoding = SecretEncoding::kRaw;
    d.secrets.push_back(bytes(1 + below(100)));
  }

  std::mt19937 random_;
};

TEST(SignatureProperty, WhatIsSignedIsAcceptedAndNothingNextToIt) {
  Generator generator(20'26'11);
  for (int round = 0; round < 2000; ++round) {
    const SchemeDescription description = generator.description();
    const DescribedScheme s = scheme(description);
    const std::string body = generator.bytes(generator.below(200)) + "x", id = "id-" + std::to_string(round);
    const Headers headers = s.sign(id, body, kNow);
    SCOPED_TRACE(description.format + " over " + description.signed_bytes + ": " + headers.back().second);
    ASSERT_EQ(s.verify(request(headers, body), kNow), Verdict::kAccepted);

    std::string other_body = body;
    other_body[generator.below(body.size())] ^= static_cast<char>(1 << generator.below(8));
    ASSERT_EQ(s.verify(request(headers, other_body), kNow), Verdict::kWrong);

    Headers other = headers;
    std::string& value = other[generator.below(other.size())].second;
    char& c = value[generator.below(value.size())];
    c = c == '7' ? '8' : '7';
    ASSERT_NE(s.verify(request(other, body), kNow), Verdict::kAccepted);

    SchemeDescription stranger = description;
    stranger.secrets = {"a secret of somebody else"};
    ASSERT_EQ(scheme(stranger).verify(request(headers, body), kNow), Verdict::kWrong);
  }
}

TEST(SignatureProperty, HostileHeadersAreHarmless) {
  Generator generator(4711);
  const DescribedScheme schemes[] = {scheme(testing::listed()), scheme(testing::keyed()), scheme(testing::complete()),
                            scheme(testing::plain())};
  constexpr std::string_view kAlphabet = "v1t=,;. hmac0123456789abcdefAZ+/=\t\x01\xff";
  for (int round = 0; round < 20'000; ++round) {
    std::string value;
    for (size_t i = generator.below(120); i > 0; --i) value += kAlphabet[generator.below(kAlphabet.size())];
    const Headers headers = {{"x-signature", value}, {"x-timestamp", "1700000000"}, {"x-id", "a"}};
    for (const DescribedScheme& s : schemes) ASSERT_NE(s.verify(request(headers, "body"), kNow), Verdict::kAccepted) << value;
  }
}

TEST(SignatureConcurrency, ManyThreadsVerifyWithOneScheme) {
  auto d = testing::listed();
  d.secrets = {"fresh", "old"};
  const DescribedScheme s = scheme(d);
  d.secrets = {"old"};
  const DescribedScheme old = scheme(d);
  std::atomic<int> accepted = 0, refused = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string body = "body " + std::to_string(t) + "." + std::to_string(i);
        const auto headers = (i % 2 == 0 ? s : old).sign("id", body, kNow);
        accepted += s.verify(request(headers, body), kNow) == Verdict::kAccepted ? 1 : 0;
        refused += s.verify(request(headers, body + "!"), kNow) == Verdict::kWrong ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(accepted, 1600);
  EXPECT_EQ(refused, 1600);
}

}  // namespace
}  // namespace postern::signature
