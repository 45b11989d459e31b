#include "core/http/response.h"

#include <gtest/gtest.h>

#include <regex>

namespace postern::http {
namespace {

using namespace std::string_literals;

// Without the Date line, which each answer must have once, of the form of RFC 9110 §5.6.7.
std::string bytes_of(const Response& response, bool keep_alive = true, std::string_view id = "",
                     bool head_only = false) {
  std::string out;
  serialize(response, keep_alive, id, head_only, out);
  static const std::regex date("\r\nDate: [A-Z][a-z]{2}, \\d{2} [A-Z][a-z]{2} \\d{4} \\d{2}:\\d{2}:\\d{2} GMT(?=\r\n)");
  std::smatch found;
  EXPECT_TRUE(std::regex_search(out, found, date)) << out;
  out = std::regex_replace(out, date, "", std::regex_constants::format_first_only);
  EXPECT_EQ(out.find("Date: "), std::string::npos);
  return out;
}

TEST(Response, Json) {
  EXPECT_EQ(bytes_of(Response::json(200, "{}"), true, "req_1"),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Request-Id: req_1\r\n\r\n{}");
}

TEST(Response, AppendsAfterWhatIsThere) {
  std::string out = "before";
  serialize(Response::json(200, "1"), true, "", false, out);
  EXPECT_EQ(out.substr(0, 14), "beforeHTTP/1.1");
}

TEST(Response, Error) {
  const Response r = Response::error(400, "a \"quoted\"\\\n\x01 text \xc3\xa9");
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(r.body, "{\"error\":\"a \\\"quoted\\\"\\\\\\n\\u0001 text \xc3\xa9\"}");
  EXPECT_EQ(Response::error(400, "\xff").body, "{\"error\":\"\xef\xbf\xbd\"}");
}

TEST(Response, Close) {
  Response r = Response::json(200, "");
  EXPECT_EQ(bytes_of(r, true).find("Connection"), std::string::npos);
  EXPECT_NE(bytes_of(r, false).find("\r\nConnection: close\r\n"), std::string::npos);
  r.close = true;
  EXPECT_NE(bytes_of(r, true).find("\r\nConnection: close\r\n"), std::string::npos);
}

TEST(Response, HeadHasTheLengthAndNoBody) {
  EXPECT_EQ(bytes_of(Response::json(200, "hello"), true, "", true),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n");
}

TEST(Response, StatusWithoutBody) {
  for (const int status : {204, 304, 100, 101}) {
    const std::string out = bytes_of(Response::json(status, "hello"));
    EXPECT_EQ(out.find("Content-"), std::string::npos) << status;
    EXPECT_EQ(out.substr(out.size() - 4), "\r\n\r\n") << status;
  }
}

TEST(Response, EmptyBodyHasALength) {
  EXPECT_EQ(bytes_of(Response::json(200, "")), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(Response, HeadersOfCallers) {
  Response r = Response::json(405, "{}");
  r.headers = {{"Allow", "GET, POST"}, {"Retry-After", "5"}};
  EXPECT_EQ(
      bytes_of(r),
      "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, POST\r\nRetry-After: 5\r\nContent-Type: application/json\r\n"
      "Content-Length: 2\r\n\r\n{}");
}

TEST(Response, HeadersCannotSplitTheResponse) {
  Response r = Response::json(200, "");
  r.headers = {
      {"X", "a\r\nY: b\r\n\r\nHTTP/1.1 200 OK\0\x7f"s}, {"Z\r\nEvil", "1"}, {"", "2"}, {"A B", "3"}, {"C:", "4"}};
  EXPECT_EQ(bytes_of(r, true, "id\r\nEvil: 1"),
            "HTTP/1.1 200 OK\r\nX: aY: bHTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-Id: idEvil: 1\r\n\r\n");
}

TEST(Response, HeadersCannotContradictTheFraming) {
  Response r = Response::json(200, "hello");
  r.headers = {
      {"content-length", "99"}, {"Transfer-Encoding", "chunked"}, {"CONNECTION", "upgrade"}, {"x-request-id", "x"}};
  EXPECT_EQ(bytes_of(r), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello");
}

TEST(Response, ContentTypeOfTheCallerStandsAlone) {
  Response r = Response::json(200, "<a/>");
  r.headers = {{"content-type", "text/xml"}};
  EXPECT_EQ(bytes_of(r), "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>");
}

TEST(Response, StatusOutOfRangeIsA500) {
  for (const int status : {-1, 0, 99, 1000, 2'000'000'000}) {
    EXPECT_EQ(bytes_of(Response::json(status, "")).substr(0, 36), "HTTP/1.1 500 Internal Server Error\r\n") << status;
  }
}

TEST(ReasonPhrase, EveryStatusOfTheContractHasOne) {
  for (const int status :
       {200, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 422, 429, 431, 500, 501, 503, 504, 505}) {
    EXPECT_NE(reason_phrase(status), "Unknown") << status;
  }
  EXPECT_EQ(reason_phrase(299), "Unknown");
}

}  // namespace
}  // namespace postern::http
