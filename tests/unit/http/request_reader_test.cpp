// What the reader lets through, exactly as it was sent, however it was cut; limits, and how early they are enforced.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/http/reading.h"

namespace postern::http {
namespace {

using namespace std::string_literals;
using State = RequestReader::State;
using testing::read_all;
using testing::Reading;
using testing::summaries;

struct Accepted {
  std::string name;
  std::string bytes;
  std::string summary;  // method|target|path|query|version|keep or close|headers|body
};

std::vector<Accepted> accepted() {
  const std::string h = "Host: a\r\n";
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunked_head = "POST|/|/||1.1|keep|Host: a\r\nTransfer-Encoding: chunked\r\n|";
  const std::string binary = "\0\r\n\r\n\xff\x01GET / HTTP/1.1\r\n\r\n"s;
  const auto get = [&](const std::string& target, const std::string& path, const std::string& query) {
    return std::pair("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n",
                     "GET|" + target + "|" + path + "|" + query + "|1.1|keep|Host: a\r\n|");
  };
  std::vector<Accepted> out = {
      {"Post", "POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
       "POST|/hook|/hook||1.1|keep|Host: a\r\nContent-Length: 5\r\n|hello"},
      {"PostEmpty", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
       "POST|/|/||1.1|keep|Host: a\r\nContent-Length: 0\r\n|"},
      {"LengthLeadingZeros", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 000000000000000005\r\n\r\nhello",
       "POST|/|/||1.1|keep|Host: a\r\nContent-Length: 000000000000000005\r\n|hello"},
      {"LengthSpaces", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t 5 \t\r\n\r\nhello",
       "POST|/|/||1.1|keep|Host: a\r\nContent-Length: 5\r\n|hello"},
      {"LengthCase", "POST / HTTP/1.1\r\nhOST: a\r\ncontent-LENGTH: 5\r\n\r\nhello",
       "POST|/|/||1.1|keep|hOST: a\r\ncontent-LENGTH: 5\r\n|hello"},
      {"GetWithBody", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
       "GET|/|/||1.1|keep|Host: a\r\nContent-Length: 2\r\n|hi"},
      {"DeleteWithoutBody", "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE|/x|/x||1.1|keep|" + h + "|"},
      {"BodyOfAnything", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 25\r\n\r\n" + binary,
       "PUT|/|/||1.1|keep|Host: a\r\nContent-Length: 25\r\n|" + binary},
      {"OtherMethod", "M!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n",
       "M!#$%&'*+-.^_`|~09azAZ|/|/||1.1|keep|" + h + "|"},
      {"Method32", std::string(32, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n",
       std::string(32, 'M') + "|/|/||1.1|keep|" + h + "|"},
      {"LowerCaseMethod", "post / HTTP/1.1\r\nHost: a\r\n\r\n", "post|/|/||1.1|keep|" + h + "|"},
      {"EmptyLineBefore", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET|/|/||1.1|keep|" + h + "|"},
      {"OptionsAsterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS|*|*||1.1|keep|" + h + "|"},
      {"OptionsPath", "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS|/a|/a||1.1|keep|" + h + "|"},
      {"ValueEmpty", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nX: \r\nY: \r\n|"},
      {"ValueTrimmed", "GET / HTTP/1.1\r\nHost:a\r\nX: \t a \t b\t \r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nX: a \t b\r\n|"},
      {"ValueColons", "GET / HTTP/1.1\r\nHost: a\r\nX: :a: b:\r\n\r\n", "GET|/|/||1.1|keep|Host: a\r\nX: :a: b:\r\n|"},
      {"ValueObsText", "GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xc3\xa9\xff\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nX: \x80\xc3\xa9\xff\r\n|"},
      {"ValueEncodedWordStays", "GET / HTTP/1.1\r\nHost: a\r\nX: =?UTF-8?Q?a?=\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nX: =?UTF-8?Q?a?=\r\n|"},
      {"NameTokens", "GET / HTTP/1.1\r\nHost: a\r\nX_1.!#$%&'*+-^`|~: y\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nX_1.!#$%&'*+-^`|~: y\r\n|"},
      {"SameNameTwice", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nX: 1\r\nx: 2\r\n|"},
      {"Chunked", chunked + "5\r\nhello\r\n0\r\n\r\n", chunked_head + "hello"},
      {"ChunkedEmpty", chunked + "0\r\n\r\n", chunked_head},
      {"ChunkedSeveral", chunked + "1\r\na\r\n0A\r\n0123456789\r\nb\r\n0123456789a\r\n000\r\n\r\n",
       chunked_head + "a01234567890123456789a"},
      {"Chunked16Digits", chunked + "0000000000000002\r\n\r\n\r\n0000000000000000\r\n\r\n", chunked_head + "\r\n"},
      {"ChunkedCase", "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: \tCHUNKED \r\n\r\n1\r\nx\r\n0\r\n\r\n",
       "POST|/|/||1.1|keep|Host: a\r\ntransfer-encoding: CHUNKED\r\n|x"},
      {"ChunkedGet", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nTransfer-Encoding: chunked\r\n|"},
      {"KeepAlive10", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
       "GET|/|/||1.0|keep|Connection: Keep-Alive\r\n|"},
      {"OtherConnection", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, closed, ,\r\n\r\n",
       "GET|/|/||1.1|keep|Host: a\r\nConnection: upgrade, closed, ,\r\n|"},
  };
  for (const std::string& host : {"example.test"s, "a_b-c.d~:80"s, "127.0.0.1:65535"s, "[::1]"s, "[2001:DB8::1]:8080"s,
                                  "[::ffff:1.2.3.4]:1"s, "A.B."s}) {
    out.push_back({"Host" + std::to_string(out.size()), "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
                   "GET|/|/||1.1|keep|Host: " + host + "\r\n|"});
  }
  const std::vector<std::pair<std::string, std::string>> targets = {
      get("/", "/", ""),
      get("/a/b", "/a/b", ""),
      get("/a?", "/a", ""),
      get("/?x=1", "/", "x=1"),
      get("/a?b=c&d=%20?e/f", "/a", "b=c&d=%20?e/f"),
      get("//a//b/", "//a//b/", ""),
      get("/%2e%2e/%00", "/%2e%2e/%00", ""),
      get("/a{}|\\^\"<>`'", "/a{}|\\^\"<>`'", ""),
      get("/http://b/c", "/http://b/c", ""),
      get("http://b", "/", ""),
      get("http://b/", "/", ""),
      get("http://b?x=1", "/", "x=1"),
      get("HTTPS://[::1]:8443/p/q?x=/y", "/p/q", "x=/y"),
      get("http://b:80/p?q=http://c/", "/p", "q=http://c/"),
  };
  for (const auto& [bytes, summary] : targets) out.push_back({"Target" + std::to_string(out.size()), bytes, summary});
  return out;
}

// The connection ends after these, so they stand apart from the pipelined ones.
std::vector<Accepted> closing() {
  return {
      {"Close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
       "GET|/|/||1.1|close|Host: a\r\nConnection: close\r\n|"},
      {"CloseCase", "GET / HTTP/1.1\r\nHost: a\r\nconnection: CLOSE\r\n\r\n",
       "GET|/|/||1.1|close|Host: a\r\nconnection: CLOSE\r\n|"},
      {"CloseInList", "GET / HTTP/1.1\r\nHost: a\r\nConnection: te ,close\t, x\r\n\r\n",
       "GET|/|/||1.1|close|Host: a\r\nConnection: te ,close\t, x\r\n|"},
      {"CloseInSecond", "GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nConnection: close\r\n\r\n",
       "GET|/|/||1.1|close|Host: a\r\nConnection: te\r\nConnection: close\r\n|"},
      {"CloseWins", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n",
       "GET|/|/||1.1|close|Host: a\r\nConnection: close, keep-alive\r\n|"},
      {"Http10", "GET / HTTP/1.0\r\n\r\n", "GET|/|/||1.0|close||"},
      {"Http10Host", "GET /x HTTP/1.0\r\nHost: a\r\n\r\n", "GET|/x|/x||1.0|close|Host: a\r\n|"},
      {"Http10Post", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "POST|/|/||1.0|close|Content-Length: 2\r\n|hi"},
      {"Http10CloseWins", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
       "GET|/|/||1.0|close|Connection: keep-alive\r\nConnection: close\r\n|"},
  };
}

class RequestAccepted : public ::testing::TestWithParam<Accepted> {};

TEST_P(RequestAccepted, HoweverItIsCut) {
  const Accepted& c = GetParam();
  for (const size_t piece : {c.bytes.size(), size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{17}}) {
    const Reading reading = read_all(c.bytes, piece);
    EXPECT_EQ(reading.status, 0) << reading.reason;
    EXPECT_EQ(summaries(reading), std::vector{c.summary}) << piece << " at a time";
    EXPECT_EQ(reading.consumed, c.bytes.size());
  }
}

TEST_P(RequestAccepted, TruncatedNeverCompletes) {
  const Accepted& c = GetParam();
  for (size_t size = 0; size < c.bytes.size(); ++size) {
    const std::string_view cut = std::string_view(c.bytes).substr(0, size);
    for (const size_t piece : {std::max<size_t>(size, 1), size_t{1}}) {
      const Reading reading = read_all(cut, piece);
      EXPECT_TRUE(reading.requests.empty()) << size << " bytes";
      EXPECT_EQ(reading.status, 0) << size << " bytes: " << reading.reason;
    }
  }
}

TEST_P(RequestAccepted, TakesNoByteOfTheNext) {
  const Accepted& c = GetParam();
  RequestReader reader;
  const std::string bytes = c.bytes + "NEXT";
  std::string_view data = bytes;
  data.remove_prefix(reader.feed(data));
  ASSERT_EQ(reader.state(), State::kHeadComplete);
  EXPECT_EQ(reader.feed(data), 0U) << "the body waits for begin_body()";
  reader.begin_body(1 << 20);
  if (reader.has_body()) data.remove_prefix(reader.feed(data));
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.feed(data), 0U);
  EXPECT_EQ(data, "NEXT");
}

TEST_P(RequestAccepted, SurvivesStorage) {
  const Reading reading = read_all(GetParam().bytes, GetParam().bytes.size());
  ASSERT_EQ(reading.requests.size(), 1U);
  const Request& read = reading.requests[0];
  const Request stored = Request::from_parts(read.method(), read.target(), read.headers_text(), read.body());
  EXPECT_EQ(stored.headers_text(), read.headers_text());
  EXPECT_EQ(stored.path(), read.path());
  EXPECT_EQ(stored.query(), read.query());
  EXPECT_EQ(stored.body(), read.body());
}

std::string case_name(const ::testing::TestParamInfo<Accepted>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(KeepAlive, RequestAccepted, ::testing::ValuesIn(accepted()), case_name);
INSTANTIATE_TEST_SUITE_P(Closing, RequestAccepted, ::testing::ValuesIn(closing()), case_name);

TEST(RequestReader, Pipelined) {
  std::string bytes;
  std::vector<std::string> expected;
  for (int round = 0; round < 3; ++round) {
    for (const Accepted& c : accepted()) {
      bytes += c.bytes;
      expected.push_back(c.summary);
    }
  }
  for (const size_t piece : {bytes.size(), size_t{1}, size_t{2}, size_t{61}, size_t{1000}}) {
    const Reading reading = read_all(bytes, piece);
    EXPECT_EQ(reading.status, 0) << reading.reason;
    EXPECT_EQ(summaries(reading), expected) << piece << " at a time";
  }
}

TEST(RequestReader, OneEmptyLineBeforeEachRequest) {
  const std::string get = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(read_all(get + get + get, 1).requests.size(), 3U);
  EXPECT_EQ(read_all(get + "\r\n" + get, 1).status, 400);
}

TEST(RequestReader, InHeadFromTheFirstByteOfTheRequestLine) {
  RequestReader reader;
  EXPECT_FALSE(reader.in_head());
  reader.feed("\r");
  reader.feed("\n");
  EXPECT_FALSE(reader.in_head());
  reader.feed("G");
  EXPECT_TRUE(reader.in_head());
  reader.feed("ET / HTTP/1.1\r\nHost: a\r\n");
  EXPECT_TRUE(reader.in_head());
  reader.feed("\r\n");
  EXPECT_FALSE(reader.in_head());
  reader.begin_body(0);
  reader.take();
  EXPECT_FALSE(reader.in_head());
  reader.feed("GET / HTTP/1.1\r\n");
  EXPECT_TRUE(reader.in_head());
}

struct Continue {
  const char* head;
  bool expected;
};

TEST(RequestReader, ExpectsContinue) {
  const Continue cases[] = {
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", true},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nexpect: 100-Continue\r\n\r\n", true},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", true},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", false},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n", false},
      {"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", false},
  };
  for (const Continue& c : cases) {
    RequestReader reader;
    reader.feed(c.head);
    ASSERT_EQ(reader.state(), State::kHeadComplete) << c.head;
    EXPECT_EQ(reader.expects_continue(), c.expected) << c.head;
  }
}

TEST(RequestReader, StartsAnewAfterTake) {
  RequestReader reader;
  reader.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  reader.begin_body(10);
  reader.feed("2\r\nhi\r\n0\r\n\r\n");
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.take().body(), "hi");
  EXPECT_EQ(reader.state(), State::kHead);
  EXPECT_FALSE(reader.expects_continue());
  EXPECT_FALSE(reader.has_body());
  reader.feed("GET /x HTTP/1.1\r\nHost: b\r\n\r\n");
  reader.begin_body(0);
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.take().header("host"), "b");
}

TEST(RequestReader, BodyLimits) {
  const std::string length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
  const std::string chunks =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
  for (const std::string& bytes : {length, chunks}) {
    for (const size_t piece : {bytes.size(), size_t{1}}) {
      EXPECT_EQ(read_all(bytes, piece, {}, 5).requests.size(), 1U);
      EXPECT_EQ(read_all(bytes, piece, {}, 4).status, 413);
      EXPECT_EQ(read_all(bytes, piece, {}, 0).status, 413);
    }
  }
  const std::string empty = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(read_all(empty, 1, {}, 0).requests.size(), 1U);
}

TEST(RequestReader, LengthOverTheLimitIsRefusedWithoutItsBody) {
  RequestReader reader;
  reader.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
  reader.begin_body(1000);
  EXPECT_EQ(reader.refusal().status, 413);
}

TEST(RequestReader, ALyingLengthAllocatesLittle) {
  RequestReader reader;
  reader.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000000000000\r\n\r\n");
  reader.begin_body(UINT64_MAX);
  ASSERT_EQ(reader.state(), State::kBody);
  EXPECT_LE(reader.request().body().capacity(), 64U * 1024);
}

// Bytes of a request line that is `size` bytes long.
std::string request_line(size_t size) { return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1"; }

TEST(RequestReader, RequestLineLimit) {
  const ReadLimits limits{.request_line = 100, .head = 1000, .headers = 10};
  const std::string rest = "\r\nHost: a\r\n\r\n";
  for (const size_t piece : {size_t{1}, size_t{2}, size_t{99}, size_t{100}, size_t{101}, size_t{102}, size_t{1000}}) {
    EXPECT_EQ(read_all(request_line(100) + rest, piece, limits).requests.size(), 1U) << piece;
    EXPECT_EQ(read_all("\r\n" + request_line(100) + rest, piece, limits).requests.size(), 1U) << piece;
    EXPECT_EQ(read_all(request_line(101) + rest, piece, limits).status, 414) << piece;
    EXPECT_EQ(read_all(request_line(2000) + rest, piece, limits).status, 414) << piece;
    EXPECT_EQ(read_all(request_line(101) + "\x01" + rest, piece, limits).status, 414) << piece;
    EXPECT_EQ(read_all(request_line(99) + "\x01", piece, limits).status, 400) << piece;
    EXPECT_EQ(read_all(request_line(100) + "\rX", piece, limits).status, 400) << piece;
  }
}

TEST(RequestReader, HeadLimit) {
  const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const auto head = [&](size_t size) { return begin + std::string(size - begin.size() - 4, 'x') + "\r\n\r\n"; };
  const ReadLimits limits{.request_line = 100, .head = 500, .headers = 10};
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{499}, size_t{500}, size_t{501}, size_t{5000}}) {
    EXPECT_EQ(read_all(head(500), piece, limits).requests.size(), 1U) << piece;
    EXPECT_EQ(read_all(head(500) + head(500), piece, limits).requests.size(), 2U) << piece;
    EXPECT_EQ(read_all(head(501), piece, limits).status, 431) << piece;
    EXPECT_EQ(read_all(head(502), piece, limits).status, 431) << piece;
    EXPECT_EQ(read_all(head(5000), piece, limits).status, 431) << piece;
  }
  const ReadLimits tiny{.request_line = 100, .head = 10, .headers = 10};
  EXPECT_EQ(read_all(head(100), 1, tiny).status, 431);
  EXPECT_EQ(read_all(head(100), 100, tiny).status, 431);
}

TEST(RequestReader, HeaderNumberLimit) {
  const ReadLimits limits{.request_line = 100, .head = 64 * 1024, .headers = 10};
  const auto head = [](int headers) {
    std::string out = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 1; i < headers; ++i) out += "X: " + std::to_string(i) + "\r\n";
    return out + "\r\n";
  };
  for (const size_t piece : {size_t{1}, size_t{5000}}) {
    EXPECT_EQ(read_all(head(10), piece, limits).requests.size(), 1U);
    EXPECT_EQ(read_all(head(11), piece, limits).status, 431);
    EXPECT_EQ(read_all(head(1000), piece, limits).status, 431);
  }
}

TEST(RequestReader, AMegabyteOfHeaderIsRefusedAtTheLimit) {
  const Reading reading = read_all("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1 << 20, 'x'), 16 * 1024);
  EXPECT_EQ(reading.status, 431);
  EXPECT_LE(reading.consumed, ReadLimits{}.head);
}

struct Early {
  std::string bytes;  // the last of them is the one that shows the fault
  int status;
};

TEST(RequestReader, RefusesWithTheFirstByteThatShowsTheFault) {
  const Early cases[] = {
      {"\x16", 400},
      {" ", 400},
      {"{", 400},
      {"\xff", 400},
      {"\n", 400},
      {"GET\x01", 400},
      {std::string(33, 'A'), 400},
      {"GET /\x80", 400},
      {"GET /\rX", 400},
      {"GET /" + std::string(8 * 1024 - 4, 'a'), 414},
      {"GET / HTTP/2.0\r\n", 505},
      {"\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n ", 400},
      {"GET / HTTP/1.1\r\n:", 400},
      {"GET / HTTP/1.1\r\nX: a\x01", 400},
      {"GET / HTTP/1.1\r\nX: a\rb", 400},
      {"GET / HTTP/1.1\r\n\rb", 400},
      {"GET / HTTP/1.1\r\nX: a\n", 400},
      {"GET / HTTP/1.1\r\nX:" + std::string(64 * 1024 - 20, 'a') + "\r\n", 431},
      {"GET / HTTP/1.1\r\nX:" + std::string(64 * 1024 - 18, 'a'), 431},
  };
  for (const Early& c : cases) {
    const std::string_view before = std::string_view(c.bytes).substr(0, c.bytes.size() - 1);
    for (const size_t piece : {size_t{1}, c.bytes.size()}) {
      EXPECT_EQ(read_all(before, piece).status, 0) << c.bytes.substr(0, 40);
      EXPECT_EQ(read_all(c.bytes, piece).status, c.status) << c.bytes.substr(0, 40);
    }
  }
}

TEST(RequestReader, AnyByteAnywhereHasOneOutcome) {
  const std::string good = "POST /a?b HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nX: y\r\n\r\nabc";
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(byte);
      const Reading whole = read_all(bytes, bytes.size());
      const Reading single = read_all(bytes, 1);
      ASSERT_EQ(whole.status, single.status) << "byte " << byte << " at " << at;
      ASSERT_EQ(summaries(whole), summaries(single)) << "byte " << byte << " at " << at;
    }
  }
}

}  // namespace
}  // namespace postern::http
