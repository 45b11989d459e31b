// What the reader must not let through, however it arrives: whole, cut anywhere, byte by byte, behind a good request.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/http/reading.h"

namespace postern::http {
namespace {

using namespace std::string_literals;
using testing::read_all;
using testing::Reading;

struct Refused {
  std::string name;
  std::string bytes;
  int status;
};

std::string get(const std::string& headers) { return "GET / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n"; }
std::string post(const std::string& headers, const std::string& body = "hello") {
  return "POST /hook HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body;
}
std::string line(const std::string& request_line) { return request_line + "\r\nHost: a\r\n\r\n"; }
std::string host(const std::string& value) { return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n"; }
std::string chunked(const std::string& body) { return post("Transfer-Encoding: chunked\r\n", body); }

std::vector<Refused> request_lines() {
  return {
      {"LowerCaseProtocol", line("GET / http/1.1"), 400},
      {"NoVersion", line("GET /"), 400},
      {"OnlyMethod", line("GET"), 400},
      {"TwoSpacesBeforeTarget", line("GET  / HTTP/1.1"), 400},
      {"TwoSpacesBeforeVersion", line("GET /  HTTP/1.1"), 400},
      {"SpaceInTarget", line("GET /a b HTTP/1.1"), 400},
      {"TrailingSpace", line("GET / HTTP/1.1 "), 400},
      {"LeadingSpace", line(" GET / HTTP/1.1"), 400},
      {"TabForSpace", line("GET\t/ HTTP/1.1"), 400},
      {"TabBeforeVersion", line("GET /\tHTTP/1.1"), 400},
      {"EmptyTarget", line("GET  HTTP/1.1"), 400},
      {"VersionThreeDigits", line("GET / HTTP/1.10"), 400},
      {"VersionNoMinor", line("GET / HTTP/1"), 400},
      {"VersionLetters", line("GET / HTTP/x.y"), 400},
      {"VersionComma", line("GET / HTTP/1,1"), 400},
      {"VersionShort", line("GET / HTTP/"), 400},
      {"OtherProtocol", line("GET / HTTQ/1.1"), 400},
      {"Version2", line("GET / HTTP/2.0"), 505},
      {"Version12", line("GET / HTTP/1.2"), 505},
      {"Version09", line("GET / HTTP/0.9"), 505},
      {"Version31", line("GET / HTTP/3.1"), 505},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"MethodNoToken", line("G(T / HTTP/1.1"), 400},
      {"MethodColon", line("GET: / HTTP/1.1"), 400},
      {"MethodNul", line("GE\0T / HTTP/1.1"s), 400},
      {"MethodHighByte", line("GE\xc3\x89 / HTTP/1.1"), 400},
      {"Method33", line(std::string(33, 'M') + " / HTTP/1.1"), 400},
      {"TargetNoSlash", line("GET hook HTTP/1.1"), 400},
      {"TargetHighByte", line("GET /\xc3\xa9 HTTP/1.1"), 400},
      {"TargetFF", line("GET /\xff HTTP/1.1"), 400},
      {"TargetNul", line("GET /a\0b HTTP/1.1"s), 400},
      {"TargetControl", line("GET /a\x01 HTTP/1.1"), 400},
      {"TargetDel", line("GET /a\x7f HTTP/1.1"), 400},
      {"TargetBareCr", line("GET /a\r HTTP/1.1"), 400},
      {"TargetFragment", line("GET /a#b HTTP/1.1"), 400},
      {"TargetEscapedCrLfIsFineButRawIsNot", line("GET /a\r\nX: y HTTP/1.1"), 400},
      {"AsteriskGet", line("GET * HTTP/1.1"), 400},
      {"AsteriskMore", line("OPTIONS *x HTTP/1.1"), 400},
      {"AuthorityForm", line("GET example.test:80 HTTP/1.1"), 400},
      {"Connect", line("CONNECT example.test:443 HTTP/1.1"), 400},
      {"ConnectOrigin", line("CONNECT / HTTP/1.1"), 400},
      {"AbsoluteFtp", line("GET ftp://example.test/ HTTP/1.1"), 400},
      {"AbsoluteFile", line("GET file:///etc/passwd HTTP/1.1"), 400},
      {"AbsoluteNoHost", line("GET http:///a HTTP/1.1"), 400},
      {"AbsoluteOnlyScheme", line("GET http:// HTTP/1.1"), 400},
      {"AbsoluteOneSlash", line("GET http:/a HTTP/1.1"), 400},
      {"AbsoluteUserinfo", line("GET http://u:p@example.test/ HTTP/1.1"), 400},
      {"AbsoluteBadPort", line("GET http://example.test:x/ HTTP/1.1"), 400},
      {"AbsoluteBackslash", line("GET http://a\\b/ HTTP/1.1"), 400},
      {"TwoEmptyLines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"EmptyLineLf", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"EmptyLineCr", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"TlsHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, 400},
      {"Ssh", "SSH-2.0-OpenSSH_9.2\r\n", 400},
      {"Json", "{\"a\":1}\r\n", 400},
      {"ProxyProtocol2", "\r\n\r\n\0\r\nQUIT\n"s, 400},
      {"HighBytes", "\xff\xfe\xfd", 400},
  };
}

std::vector<Refused> header_lines() {
  return {
      {"BareLfAfterRequestLine", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
      {"BareLfAfterHeader", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
      {"BareLfAtEnd", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
      {"BareLfInValue", get("X: a\nY: b\r\n"), 400},
      {"BareCrInValue", get("X: a\rb\r\n"), 400},
      {"BareCrBeforeCrLf", get("X: a\r\r\n"), 400},
      {"BareCrInName", get("X\rY: a\r\n"), 400},
      {"CrLineStart", get("\rX: a\r\n"), 400},
      {"FoldSpace", get("X: a\r\n b\r\n"), 400},
      {"FoldTab", get("X: a\r\n\tb\r\n"), 400},
      {"FoldFirst", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"FoldBlank", get("X: a\r\n \r\n"), 400},
      {"SpaceBeforeColon", get("X : a\r\n"), 400},
      {"TabBeforeColon", get("X\t: a\r\n"), 400},
      {"SpaceInName", get("X Y: a\r\n"), 400},
      {"EmptyName", get(": a\r\n"), 400},
      {"NoColon", get("X\r\n"), 400},
      {"NameParenthesis", get("X(Y): a\r\n"), 400},
      {"NameSlash", get("X/Y: a\r\n"), 400},
      {"NameQuote", get("\"X\": a\r\n"), 400},
      {"NameAt", get("X@Y: a\r\n"), 400},
      {"NameBracket", get("X[]: a\r\n"), 400},
      {"NameNul", get("X\0: a\r\n"s), 400},
      {"NameHighByte", get("X\xc3\xa9: a\r\n"), 400},
      {"NameDel", get("X\x7f: a\r\n"), 400},
      {"ValueNul", get("X: a\0b\r\n"s), 400},
      {"ValueControl", get("X: a\x01\r\n"), 400},
      {"ValueEscape", get("X: \x1b[31m\r\n"), 400},
      {"ValueBackspace", get("X: a\b\r\n"), 400},
      {"ValueVerticalTab", get("X: \va\r\n"), 400},
      {"ValueDel", get("X: a\x7f\r\n"), 400},
  };
}

std::vector<Refused> hosts() {
  return {
      {"HostMissing", "GET / HTTP/1.1\r\n\r\n", 400},
      {"HostMissingWithOthers", "GET / HTTP/1.1\r\nX-Host: a\r\nHosts: a\r\n\r\n", 400},
      {"HostMissingAbsolute", "GET http://a/ HTTP/1.1\r\n\r\n", 400},
      {"HostDoubled", get("Host: a\r\n"), 400},
      {"HostDoubledOtherCase", get("hOST: b\r\n"), 400},
      {"HostDoubled10", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"HostMalformed10", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400},
      {"HostEmpty", host(""), 400},
      {"HostBlank", host(" \t"), 400},
      {"HostUserinfo", host("user@a"), 400},
      {"HostUserPassword", host("u:p@a"), 400},
      {"HostSpace", host("a b"), 400},
      {"HostTab", host("a\tb"), 400},
      {"HostList", host("a, b"), 400},
      {"HostComma", host("a,b"), 400},
      {"HostSlash", host("a/b"), 400},
      {"HostUrl", host("http://a"), 400},
      {"HostQuery", host("a?b"), 400},
      {"HostFragment", host("a#b"), 400},
      {"HostHighByte", host("\xc3\xa9"), 400},
      {"HostPercent", host("a%00"), 400},
      {"HostPortLetters", host("a:b"), 400},
      {"HostPortEmpty", host("a:"), 400},
      {"HostPortZero", host("a:0"), 400},
      {"HostPortLarge", host("a:65536"), 400},
      {"HostPortLong", host("a:000080"), 400},
      {"HostPortSign", host("a:+80"), 400},
      {"HostTwoPorts", host("a:80:80"), 400},
      {"HostOnlyPort", host(":80"), 400},
      {"HostBareIpv6", host("::1"), 400},
      {"HostBracketOpen", host("[::1"), 400},
      {"HostBracketEmpty", host("[]"), 400},
      {"HostBracketJunk", host("[::1]x"), 400},
      {"HostBracketName", host("[a.b]"), 400},
      {"HostBracketZone", host("[fe80::1%25eth0]"), 400},
      {"HostBracketLong", host("[" + std::string(100, '1') + "]"), 400},
  };
}

std::vector<Refused> lengths() {
  return {
      {"LengthMissingPost", post(""), 411},
      {"LengthMissingPut", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 411},
      {"LengthMissingPatch", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", 411},
      {"LengthMissingPost10", "POST / HTTP/1.0\r\n\r\nhello", 411},
      {"LengthConflicting", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
      {"LengthRepeated", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
      {"LengthRepeatedOtherCase", post("Content-Length: 5\r\ncontent-LENGTH: 5\r\n"), 400},
      {"LengthList", post("Content-Length: 5, 5\r\n"), 400},
      {"LengthListTight", post("Content-Length: 5,5\r\n"), 400},
      {"LengthPlus", post("Content-Length: +5\r\n"), 400},
      {"LengthMinus", post("Content-Length: -5\r\n"), 400},
      {"LengthHex", post("Content-Length: 0x5\r\n"), 400},
      {"LengthUnit", post("Content-Length:  5x\r\n"), 400},
      {"LengthFraction", post("Content-Length: 5.0\r\n"), 400},
      {"LengthInnerSpace", post("Content-Length: 5 5\r\n"), 400},
      {"LengthEmpty", post("Content-Length:\r\n"), 400},
      {"LengthBlank", post("Content-Length: \t \r\n"), 400},
      {"LengthHighDigits", post("Content-Length: \xd9\xa5\r\n"), 400},
      {"Length19Digits", post("Content-Length: 1000000000000000000\r\n"), 413},
      {"Length19DigitsSmall", post("Content-Length: 0000000000000000005\r\n"), 413},
      {"LengthOverflow", post("Content-Length: 18446744073709551621\r\n"), 413},
      {"LengthOverflowJunk", post("Content-Length: 18446744073709551621x\r\n"), 400},
      {"Length18Digits", post("Content-Length: 999999999999999999\r\n"), 413},
      {"LengthOneOver", post("Content-Length: 1048577\r\n"), 413},
      {"LengthBadOnGet", get("Content-Length: abc\r\n"), 400},
      {"LengthWithChunked", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"ChunkedWithLength", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400},
      {"LengthWithOtherCoding", post("Content-Length: 5\r\nTransfer-Encoding: gzip\r\n"), 400},
      {"CodingDoubled", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"CodingDoubledMixed", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), 400},
      {"CodingIn10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"CodingGzip", post("Transfer-Encoding: gzip\r\n"), 501},
      {"CodingGzipChunked", post("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"CodingChunkedGzip", post("Transfer-Encoding: chunked, gzip\r\n"), 501},
      {"CodingChunkedTwice", post("Transfer-Encoding: chunked, chunked\r\n"), 501},
      {"CodingIdentity", post("Transfer-Encoding: identity\r\n"), 501},
      {"CodingXChunked", post("Transfer-Encoding: xchunked\r\n"), 501},
      {"CodingQuoted", post("Transfer-Encoding: \"chunked\"\r\n"), 501},
      {"CodingParameter", post("Transfer-Encoding: chunked;q=1\r\n"), 501},
      {"CodingComma", post("Transfer-Encoding: ,chunked\r\n"), 501},
      {"CodingEmpty", post("Transfer-Encoding:\r\n"), 501},
      {"CodingVerticalTab", post("Transfer-Encoding: \vchunked\r\n"), 400},
      {"CodingOnGet", get("Transfer-Encoding: gzip\r\n"), 501},
      {"ExpectOther", post("Content-Length: 5\r\nExpect: 200-ok\r\n"), 417},
      {"ExpectEmpty", post("Content-Length: 5\r\nExpect:\r\n"), 417},
      {"ExpectList", post("Content-Length: 5\r\nExpect: 100-continue, x\r\n"), 417},
      {"ExpectTwice", post("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"), 417},
      {"ExpectOther10", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", 417},
  };
}

std::vector<Refused> chunks() {
  return {
      {"ChunkExtension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkExtensionEmpty", chunked("5;\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeEmpty", chunked("\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeNone", chunked("\r\n\r\n"), 400},
      {"ChunkSizeSpace", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeLeadingSpace", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizePlus", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeMinus", chunked("-5\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSize0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeLetter", chunked("g\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSize17Digits", chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeOverflow", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeMax", chunked("ffffffffffffffff\r\nhello"), 413},
      {"ChunkSizeOneOver", chunked("100001\r\n"), 413},
      {"ChunkSumOver",
       chunked("5\r\nhello\r\n"
               "ffffc\r\n"),
       413},
      {"ChunkSizeLf", chunked("5\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeCr", chunked("5\rhello\r\n0\r\n\r\n"), 400},
      {"ChunkSizeCrCr", chunked("5\r\r\nhello\r\n0\r\n\r\n"), 400},
      {"ChunkDataLf", chunked("5\r\nhello\n0\r\n\r\n"), 400},
      {"ChunkDataCr", chunked("5\r\nhello\r0\r\n\r\n"), 400},
      {"ChunkDataLong", chunked("5\r\nhello!\r\n0\r\n\r\n"), 400},
      {"ChunkDataShort", chunked("5\r\nhell\r\n0\r\n\r\n"), 400},
      {"ChunkTrailer", chunked("5\r\nhello\r\n0\r\nX: y\r\n\r\n"), 400},
      {"ChunkLastExtension", chunked("0;a\r\n\r\n"), 400},
      {"ChunkEndLf", chunked("0\r\n\n"), 400},
      {"ChunkEndCr", chunked("0\r\n\rX"), 400},
      {"ChunkNul", chunked("\0\r\n"s), 400},
  };
}

class RequestRefusal : public ::testing::TestWithParam<Refused> {};

TEST_P(RequestRefusal, HoweverItIsCut) {
  const Refused& c = GetParam();
  const Reading whole = read_all(c.bytes, c.bytes.size());
  EXPECT_EQ(whole.status, c.status) << whole.reason;
  EXPECT_TRUE(whole.requests.empty());
  EXPECT_FALSE(whole.reason.empty());
  for (const size_t piece : {1, 2, 3, 7, 16}) {
    const Reading cut = read_all(c.bytes, piece);
    EXPECT_EQ(cut.status, c.status) << piece << " at a time: " << cut.reason;
    EXPECT_TRUE(cut.requests.empty());
  }
  for (size_t at = 1; at < c.bytes.size(); ++at) {
    RequestReader reader;
    for (std::string_view data : {std::string_view(c.bytes).substr(0, at), std::string_view(c.bytes).substr(at)}) {
      while (!data.empty() && reader.state() != RequestReader::State::kRefused) {
        data.remove_prefix(reader.feed(data));
        if (reader.state() == RequestReader::State::kHeadComplete) reader.begin_body(1 << 20);
        ASSERT_NE(reader.state(), RequestReader::State::kComplete) << "cut at " << at;
      }
    }
    EXPECT_EQ(reader.refusal().status, c.status) << "cut at " << at;
  }
}

TEST_P(RequestRefusal, BehindAGoodRequest) {
  const Refused& c = GetParam();
  const std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + c.bytes;
  for (const size_t piece : {bytes.size(), size_t{1}}) {
    const Reading reading = read_all(bytes, piece);
    EXPECT_EQ(reading.status, c.status);
    ASSERT_EQ(reading.requests.size(), 1U);
    EXPECT_EQ(reading.requests[0].body(), "hi");
  }
}

TEST_P(RequestRefusal, IsFinal) {
  const Refused& c = GetParam();
  RequestReader reader;
  std::string_view data = c.bytes;
  while (reader.state() != RequestReader::State::kRefused) {
    ASSERT_FALSE(data.empty());
    data.remove_prefix(reader.feed(data));
    reader.begin_body(1 << 20);
  }
  EXPECT_EQ(reader.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0U);
  reader.begin_body(1 << 20);
  EXPECT_EQ(reader.state(), RequestReader::State::kRefused);
  EXPECT_EQ(reader.refusal().status, c.status);
}

std::string case_name(const ::testing::TestParamInfo<Refused>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(RequestLine, RequestRefusal, ::testing::ValuesIn(request_lines()), case_name);
INSTANTIATE_TEST_SUITE_P(HeaderLine, RequestRefusal, ::testing::ValuesIn(header_lines()), case_name);
INSTANTIATE_TEST_SUITE_P(Host, RequestRefusal, ::testing::ValuesIn(hosts()), case_name);
INSTANTIATE_TEST_SUITE_P(Length, RequestRefusal, ::testing::ValuesIn(lengths()), case_name);
INSTANTIATE_TEST_SUITE_P(Chunk, RequestRefusal, ::testing::ValuesIn(chunks()), case_name);

}  // namespace
}  // namespace postern::http
