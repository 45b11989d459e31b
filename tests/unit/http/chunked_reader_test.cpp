#include "core/http/chunked_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace postern::http {
namespace {

using State = ChunkedReader::State;

TEST(ChunkedReader, ConsumesUpToTheEndAndNoFurther) {
  ChunkedReader reader;
  std::string body;
  const std::string bytes = "5\r\nhello\r\n0\r\n\r\n";
  EXPECT_EQ(reader.feed(bytes + "GET /", body, 5), bytes.size());
  EXPECT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(body, "hello");
  EXPECT_EQ(reader.feed("0\r\n\r\n", body, 5), 0U);
}

TEST(ChunkedReader, ResetStartsAnew) {
  ChunkedReader reader;
  std::string body;
  reader.feed("x", body, 5);
  EXPECT_EQ(reader.state(), State::kMalformed);
  reader.reset();
  body.clear();
  reader.feed("1\r\na\r\n0\r\n\r\n", body, 5);
  EXPECT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(body, "a");
}

TEST(ChunkedReader, TooLargeIsSaidBeforeTheData) {
  for (const char* size : {"6", "ffffffffffffffff", "7fffffffffffffff", "8000000000000000"}) {
    ChunkedReader reader;
    std::string body;
    reader.feed(std::string(size) + "\r\n", body, 5);
    EXPECT_EQ(reader.state(), State::kTooLarge) << size;
    EXPECT_TRUE(body.empty());
  }
}

TEST(ChunkedReader, TheLimitCountsAllChunks) {
  ChunkedReader reader;
  std::string body;
  reader.feed("3\r\nabc\r\n2\r\nde\r\n", body, 5);
  EXPECT_EQ(reader.state(), State::kReading);
  reader.feed("1\r\n", body, 5);
  EXPECT_EQ(reader.state(), State::kTooLarge);
  EXPECT_EQ(body, "abcde");
}

TEST(ChunkedReader, ManySmallChunks) {
  constexpr size_t kChunks = 200'000;
  std::string bytes;
  for (size_t i = 0; i < kChunks; ++i) bytes += "1\r\nx\r\n";
  bytes += "0\r\n\r\n";
  for (const size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    ChunkedReader reader;
    std::string body;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      ASSERT_EQ(reader.feed(std::string_view(bytes).substr(at, piece), body, kChunks),
                std::min(piece, bytes.size() - at));
    }
    EXPECT_EQ(reader.state(), State::kComplete);
    EXPECT_EQ(body, std::string(kChunks, 'x'));
  }
}

}  // namespace
}  // namespace postern::http
