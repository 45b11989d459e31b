#include "core/config/values.h"

#include <gtest/gtest.h>

#include <optional>

#include "core/config/addresses.h"
#include "core/config/suggest.h"

namespace postern::config {
namespace {

template <typename T>
std::optional<T> got(const Result<T>& result) {
  return result ? std::optional<T>(*result) : std::nullopt;
}

TEST(Values, Durations) {
  const std::pair<const char*, std::optional<int64_t>> table[] = {
      {"0", 0},
      {"250ms", 250},
      {"5s", 5000},
      {"10m", 600000},
      {"3d", 259200000},
      {"1h30m", 5400000},
      {"1d1h1m1s1ms", 90061001},
      {"0s", 0},
      {"9223372036854775807ms", INT64_MAX},
      {"9223372036854775808ms", std::nullopt},
      {"18446744073709551616ms", std::nullopt},
      {"106751991168d", std::nullopt},
      {"99999999999999999999d", std::nullopt},
      {"", std::nullopt},
      {"5", std::nullopt},
      {"s", std::nullopt},
      {"-5s", std::nullopt},
      {"+5s", std::nullopt},
      {"1.5s", std::nullopt},
      {"5 s", std::nullopt},
      {"5s ", std::nullopt},
      {"5S", std::nullopt},
      {"30m1h", std::nullopt},
      {"1h1h", std::nullopt},
      {"1h30", std::nullopt},
      {"5us", std::nullopt},
  };
  for (const auto& [text, expected] : table) {
    const auto result = parse_duration(text);
    EXPECT_EQ(result.is_ok() ? std::optional<int64_t>(result->count()) : std::nullopt, expected) << text;
  }
}

TEST(Values, Sizes) {
  const std::pair<const char*, std::optional<uint64_t>> table[] = {
      {"0", 0},
      {"512", 512},
      {"64KiB", 65536},
      {"1MiB", 1048576},
      {"2GiB", 2147483648},
      {"5kB", 5000},
      {"3MB", 3000000},
      {"1GB", 1000000000},
      {"18446744073709551615", UINT64_MAX},
      {"18446744073709551616", std::nullopt},
      {"17179869184GiB", std::nullopt},
      {"", std::nullopt},
      {"KiB", std::nullopt},
      {"-1", std::nullopt},
      {"1kib", std::nullopt},
      {"1K", std::nullopt},
      {"1.5MiB", std::nullopt},
      {"1 MiB", std::nullopt},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(got(parse_size(text)), expected) << text;
}

TEST(Values, Rates) {
  const std::pair<const char*, std::optional<double>> table[] = {
      {"100/s", 100.0},       {"30/m", 0.5},           {"36/h", 0.01},
      {"1000000/s", 1e6},     {"1000001/s", {}},       {"0/s", std::nullopt},
      {"100", std::nullopt},  {"100/", std::nullopt},  {"100/d", std::nullopt},
      {"/s", std::nullopt},   {"-1/s", std::nullopt},  {"1/s/s", std::nullopt},
      {"1 /s", std::nullopt}, {"1.5/s", std::nullopt}, {"99999999999999999999/s", std::nullopt},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(got(parse_rate(text)), expected) << text;
}

TEST(Values, FlagsAndNumbers) {
  EXPECT_EQ(got(parse_flag("true")), true);
  EXPECT_EQ(got(parse_flag("FALSE")), false);
  for (const char* text : {"yes", "no", "on", "1", "tRUE", ""}) EXPECT_FALSE(parse_flag(text).is_ok()) << text;
  EXPECT_EQ(got(parse_count("18446744073709551615")), UINT64_MAX);
  for (const char* text : {"", "-1", "+1", "1.0", "0x10", "18446744073709551616", "1 "})
    EXPECT_FALSE(parse_count(text).is_ok()) << text;
  EXPECT_EQ(got(parse_real("-1.5e3")), -1500.0);
  EXPECT_EQ(got(parse_real("+.5")), 0.5);
  for (const char* text : {"", "-", "+", ".", "inf", "nan", ".inf", "-inf", "1e999", "1,5", "0x1p3", "1 ", "+-1"})
    EXPECT_FALSE(parse_real(text).is_ok()) << text;
}

TEST(Addresses, Listen) {
  const std::pair<const char*, std::optional<std::string>> table[] = {
      {"127.0.0.1:8080", "127.0.0.1:8080"},
      {"0.0.0.0:0", "0.0.0.0:0"},
      {"[::1]:65535", "[::1]:65535"},
      {"[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
      {"[2001:DB8::A]:80", "[2001:db8::a]:80"},
      {"unix:/run/x.sock", "unix:/run/x.sock"},
      {"unix:x.sock", "unix:x.sock"},
      {"unix:", std::nullopt},
      {"localhost:80", std::nullopt},
      {"::1:80", std::nullopt},
      {"[::1]", std::nullopt},
      {"[127.0.0.1]:80", std::nullopt},
      {"[fe80::1%lo]:80", std::nullopt},
      {"127.0.0.1", std::nullopt},
      {"127.0.0.1:", std::nullopt},
      {"127.0.0.1:65536", std::nullopt},
      {"127.0.0.1:-1", std::nullopt},
      {"127.0.0.1:080", std::nullopt},
      {"127.0.0.1:http", std::nullopt},
      {"127.1:80", std::nullopt},
      {"0x7f.0.0.1:80", std::nullopt},
      {"010.0.0.1:80", std::nullopt},
      {":80", std::nullopt},
      {"*:80", std::nullopt},
      {"80", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(got(parse_listen(text)), expected) << text;
  EXPECT_TRUE(parse_listen("unix:" + std::string(107, 'a')).is_ok());
  EXPECT_FALSE(parse_listen("unix:" + std::string(108, 'a')).is_ok());
}

TEST(Addresses, Ranges) {
  const std::pair<const char*, std::optional<std::string>> table[] = {
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"::/0", "::/0"},
      {"::1/128", "::1/128"},
      {"192.0.2.7", "192.0.2.7/32"},
      {"2001:DB8::", "2001:db8::/128"},
      {"10.1.0.0/8", std::nullopt},
      {"::1/127", std::nullopt},
      {"10.0.0.0/33", std::nullopt},
      {"::1/129", std::nullopt},
      {"10.0.0.0/", std::nullopt},
      {"10.0.0.0/-1", std::nullopt},
      {"10.0.0.0/08", std::nullopt},
      {"10.0.0/8", std::nullopt},
      {"10.0.0.0/8/8", std::nullopt},
      {"localhost", std::nullopt},
      {"", std::nullopt},
      {"/8", std::nullopt},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(got(parse_cidr(text)), expected) << text;
}

TEST(Addresses, PublicUrl) {
  const std::pair<const char*, std::optional<std::string>> table[] = {
      {"https://hooks.acme.io", "https://hooks.acme.io"},
      {"HTTPS://hooks.acme.io/", "https://hooks.acme.io"},
      {"http://127.0.0.1:8080/base/", "http://127.0.0.1:8080/base"},
      {"https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"},
      {"https://myexample.com", "https://myexample.com"},
      {"https://example.com.acme.io", "https://example.com.acme.io"},
      // The URL of a WebSocket names the same host.
      {"wss://hooks.acme.io", "https://hooks.acme.io"},
      {"WSS://hooks.acme.io:8443/base//", "https://hooks.acme.io:8443/base"},
      {"ws://127.0.0.1:8080/", "http://127.0.0.1:8080"},
      {"wsss://hooks.acme.io", std::nullopt},
      {"ws:/hooks.acme.io", std::nullopt},
      {"wss://", std::nullopt},
      {"wss://hooks.example.com", std::nullopt},
      {"https://example.com", std::nullopt},
      {"https://EXAMPLE.org.", std::nullopt},
      {"https://hooks.example.net:8443/x", std::nullopt},
      {"https://hooks.your-domain.com", std::nullopt},
      {"https://YourDomain.io", std::nullopt},
      {"hooks.acme.io", std::nullopt},
      {"ftp://hooks.acme.io", std::nullopt},
      {"https:/hooks.acme.io", std::nullopt},
      {"https://", std::nullopt},
      {"https:///x", std::nullopt},
      {"https://:443", std::nullopt},
      {"https://a..b", std::nullopt},
      {"https://hooks.acme.io:", std::nullopt},
      {"https://hooks.acme.io:0", std::nullopt},
      {"https://hooks.acme.io:65536", std::nullopt},
      {"https://u:p@hooks.acme.io", std::nullopt},
      {"https://hooks.acme.io?x=1", std::nullopt},
      {"https://hooks.acme.io/#x", std::nullopt},
      {"https://hooks.acme.io/a b", std::nullopt},
      {"https://hooks acme.io", std::nullopt},
      {"https://[::1", std::nullopt},
      {"https://[", std::nullopt},
      {"https://[]", std::nullopt},
      {"https://[::1]x", std::nullopt},
      {"https://[127.0.0.1]", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(got(parse_public_url(text)), expected) << text;
}

TEST(Suggest, NearMisses) {
  const std::vector<std::string> known = {"listen", "loops", "public_url", "max_body"};
  const std::pair<const char*, const char*> table[] = {
      {"lisen", "; did you mean 'listen'?"},
      {"lsiten", "; did you mean 'listen'?"},
      {"Listen", "; did you mean 'listen'?"},
      {"public-url", "; did you mean 'public_url'?"},
      {"publicurl", "; did you mean 'public_url'?"},
      {"maxbody", "; did you mean 'max_body'?"},
      {"loop", "; did you mean 'loops'?"},
      {"colour", "; known: listen, loops, public_url, max_body"},
      {"x", "; known: listen, loops, public_url, max_body"},
  };
  for (const auto& [word, expected] : table) EXPECT_EQ(suggest(word, known), expected) << word;
  EXPECT_EQ(suggest(std::string(100000, 'l'), known), "; known: listen, loops, public_url, max_body");
  EXPECT_EQ(suggest("x", {}), "");
}

}  // namespace
}  // namespace postern::config
