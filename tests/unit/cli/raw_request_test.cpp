// A request that a person saved, read as the gateway would read it.
#include "core/cli/raw_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::cli {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kLineFeeds = "the head has bare line feeds; read as CRLF, as it was on the wire";

RawRequest parsed(const std::string& bytes) {
  auto raw = parse_raw_request(bytes);
  if (!raw) throw std::runtime_error(raw.status().message());
  return std::move(*raw);
}

std::string refusal(const std::string& bytes) {
  auto raw = parse_raw_request(bytes);
  if (raw) return "(taken)";
  EXPECT_EQ(raw.status().code(), Code::kInvalid);
  return raw.status().message();
}

TEST(RawRequest, AsItWasOnTheWire) {
  RawRequest raw =
      parsed("POST /hook?a=%41 HTTP/1.1\r\nHost: a.test\r\nX-Signature: v1,abc==\r\nContent-Length: 8\r\n\r\n{\"a\":1}\n");
  EXPECT_EQ(raw.request.method(), "POST");
  EXPECT_EQ(raw.request.target(), "/hook?a=%41");
  EXPECT_EQ(raw.request.header("x-signature"), "v1,abc==");
  EXPECT_EQ(raw.request.body(), "{\"a\":1}\n");
  EXPECT_THAT(raw.notes, IsEmpty());
}

TEST(RawRequest, WithoutABody) {
  RawRequest raw = parsed("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(raw.request.body(), "");
  EXPECT_THAT(raw.notes, IsEmpty());
}

// Editors save so.
TEST(RawRequest, WithLineFeedsInItsHead) {
  RawRequest raw = parsed("POST / HTTP/1.1\nHost: a.test\nX-A: b\nContent-Length: 5\n\na\nb\r\n");
  EXPECT_EQ(raw.request.header("x-a"), "b");
  EXPECT_EQ(raw.request.body(), "a\nb\r\n") << "the body's bytes are what was signed";
  EXPECT_THAT(raw.notes, ElementsAre(kLineFeeds));
}

TEST(RawRequest, WithBothLineEndsInItsHead) {
  for (const char* head :
       {"POST / HTTP/1.1\r\nHost: a.test\nContent-Length: 4\r\n\r\n", "POST / HTTP/1.1\nHost: a.test\r\nContent-Length: 4\n\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\n", "POST / HTTP/1.1\nHost: a.test\nContent-Length: 4\n\r\n"}) {
    RawRequest raw = parsed(head + "\n\n\r\n"s);
    EXPECT_EQ(raw.request.body(), "\n\n\r\n") << head;
    EXPECT_THAT(raw.notes, ElementsAre(kLineFeeds)) << head;
  }
}

// Where the head ends decides which bytes were signed: nothing behind that is mended.
TEST(RawRequest, LeavesTheBodyAlone) {
  RawRequest crlf = parsed("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\na\n\nb\nc");
  EXPECT_EQ(crlf.request.body(), "a\n\nb\nc");
  EXPECT_THAT(crlf.notes, IsEmpty());
  RawRequest lf = parsed("POST / HTTP/1.1\nHost: a.test\nContent-Length: 8\n\na\r\n\r\nb\nc");
  EXPECT_EQ(lf.request.body(), "a\r\n\r\nb\nc");
  EXPECT_EQ(parsed("POST / HTTP/1.1\nHost: a.test\nContent-Length: 3\n\n\0\xff\n"s).request.body(), "\0\xff\n"s);
}

TEST(RawRequest, ThatIsChunked) {
  RawRequest raw =
      parsed("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\nd\nef\r\n0\r\n\r\n");
  EXPECT_EQ(raw.request.body(), "abcd\nef");
  EXPECT_THAT(refusal("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
              HasSubstr("its last chunk is missing"));
}

TEST(RawRequest, ThatWaitsForAContinue) {
  EXPECT_EQ(parsed("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab").request.body(),
            "ab");
}

// An editor that adds a line end is what breaks most signatures.
TEST(RawRequest, TellsOfBytesThatFollow) {
  RawRequest raw = parsed("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nab\n");
  EXPECT_EQ(raw.request.body(), "ab");
  EXPECT_THAT(raw.notes, ElementsAre("1 bytes follow the request; they are not part of it: its body has 2 bytes by its head"));
  RawRequest without_length = parsed("GET / HTTP/1.1\nHost: a.test\n\nabc");
  EXPECT_EQ(without_length.request.body(), "");
  EXPECT_THAT(without_length.notes, ElementsAre(kLineFeeds, HasSubstr("3 bytes follow the request")));
}

TEST(RawRequest, ThatIsTooShort) {
  EXPECT_THAT(refusal("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nab"),
              HasSubstr("the body is shorter than its Content-Length"));
  for (const char* bytes : {"", "POST / HTTP/1.1", "POST / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: a.test\r\n"}) {
    EXPECT_THAT(refusal(bytes), HasSubstr("the head of the request does not end: an empty line is missing")) << bytes;
  }
}

TEST(RawRequest, ThatTheGatewayWouldRefuse) {
  const std::pair<const char*, const char*> refused[] = {
      {"POST / HTTP/1.1\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", "400 "},
      {"POST / HTTP/2.0\r\nHost: a\r\n\r\n", "505 "},
      {"POST / HTTP/1.1\r\nHost: a\r\n\r\nbody", "411 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", "413 "},
      {"not a request\r\n\r\n", "400 "},
      {"curl -X POST https://hooks.acme.io\n\n", "400 "},
  };
  for (const auto& [bytes, status] : refused) {
    EXPECT_THAT(refusal(bytes), ::testing::StartsWith("the gateway refuses this request: " + std::string(status))) << bytes;
  }
  EXPECT_THAT(refusal("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("414 "));
}

TEST(RawRequest, OfAnySize) {
  std::string body(5'000'000, '\n');
  EXPECT_TRUE(parsed("POST / HTTP/1.1\nHost: a.test\nContent-Length: 5000000\n\n" + body).request.body() == body);
}

}  // namespace
}  // namespace postern::cli
