// RequestReader: bytes of a connection. Input: how they are cut, which limits, the bytes.
//
// What came out of a stream must not depend on how it was cut: otherwise whoever cuts it decides where a request ends (smuggling).
#include "core/http/request_reader.h"

#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "core/http/characters.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using http::Request;
using State = http::RequestReader::State;

constexpr uint64_t kMaxBody = 300;

struct Outcome {
  std::vector<Request> requests;
  int refused = 0;
  State state = State::kHead;
  bool expects_continue = false;
};

http::ReadLimits limits_of(uint8_t choice) {
  if (choice % 2 == 0) return {};
  return {.request_line = 40u + choice % 16u, .head = 90u + choice, .headers = 3};
}

template <typename NextPiece>
Outcome read(std::string_view bytes, http::ReadLimits limits, NextPiece next) {
  Outcome out;
  http::RequestReader reader(limits);
  while (!bytes.empty() && out.refused == 0) {
    std::string_view piece = bytes.substr(0, next());
    bytes.remove_prefix(piece.size());
    while (true) {
      const size_t n = reader.feed(piece);
      EXPECT(n <= piece.size());
      piece.remove_prefix(n);
      if (reader.state() == State::kHeadComplete) {
        out.expects_continue |= reader.expects_continue();
        reader.begin_body(kMaxBody);
      }
      EXPECT(reader.held() <= limits.head + kMaxBody + 1);
      if (reader.state() == State::kComplete) {
        out.requests.push_back(reader.take());
        continue;
      }
      if (reader.state() == State::kRefused) {
        out.refused = reader.refusal().status;
        EXPECT(out.refused >= 400 && out.refused <= 599 && reader.refusal().reason[0] != '\0');
        break;
      }
      EXPECT(reader.state() == State::kHead || reader.state() == State::kBody);
      if (piece.empty()) break;
      EXPECT(n > 0);
    }
  }
  out.state = reader.state();
  return out;
}

std::string summary(const Request& r) {
  std::string text;
  for (std::string_view part : {r.method(), r.target(), r.path(), r.query(), std::string_view(r.http_1_0() ? "1.0" : "1.1"),
                                std::string_view(r.keep_alive() ? "keep" : "close")}) {
    text.append(part).append("|");
  }
  return text + r.headers_text() + "|" + r.body();
}

std::string summary(const Outcome& outcome) {
  std::string text = std::to_string(outcome.refused) + (outcome.expects_continue ? " continue" : "");
  if (outcome.refused == 0) text += " state " + std::to_string(static_cast<int>(outcome.state));
  for (const Request& request : outcome.requests) text += "\n" + summary(request);
  return text;
}

// The request as it would be sent on. A chunked body is one chunk then; what says how the body ends is kept.
std::string serialised(const Request& r) {
  std::string text(r.method());
  text.append(" ").append(r.target()).append(r.http_1_0() ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  text += r.headers_text() + "\r\n";
  if (!r.header("transfer-encoding")) return text + r.body();
  char size[17];
  const auto end = std::to_chars(size, size + sizeof size, r.body().size(), 16).ptr;
  if (!r.body().empty()) text.append(size, end).append("\r\n").append(r.body()).append("\r\n");
  return text + "0\r\n\r\n";
}

void check(const Request& r) {
  EXPECT(!r.method().empty() && !r.target().empty() && !r.path().empty());
  EXPECT(lies_in(r.path(), r.target()) && lies_in(r.query(), r.target()));
  for (const char c : r.target()) EXPECT(c > 0x20 && c < 0x7f);
  for (size_t i = 0; i < r.header_count(); ++i) {
    EXPECT(!r.header_name(i).empty() && http::all_chars(r.header_name(i), http::kTokenChar));
    EXPECT(r.header_value(i).find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
  EXPECT(r.body().size() <= kMaxBody);
  EXPECT(r.http_1_0() || r.count("host") == 1);
  const auto length = r.header("content-length");
  const auto encoding = r.header("transfer-encoding");
  EXPECT(!length || !encoding);
  if (length) EXPECT(std::to_string(r.body().size()) == length->substr(std::min(length->find_first_not_of('0'), length->size() - 1)));
  if (!length && !encoding) EXPECT(r.body().empty());

  const Request stored = Request::from_parts(r.method(), r.target(), r.headers_text(), r.body());
  EXPECT(stored.path() == r.path() && stored.query() == r.query() && stored.headers_text() == r.headers_text());

  const std::string wire = serialised(r);
  const Outcome again = read(wire, {.request_line = 1 << 20, .head = 1 << 20, .headers = 1000}, [&] { return wire.size(); });
  EXPECT_THAT(again.refused == 0 && again.requests.size() == 1, wire);
  EXPECT_THAT(summary(again.requests[0]) == summary(r), wire);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  Input input(data, size);
  const uint8_t seed = input.byte();
  const auto limits = limits_of(input.byte());
  const std::string_view bytes = input.rest();
  const Outcome whole = read(bytes, limits, [&] { return bytes.size(); });
  Cuts cuts(seed);
  const Outcome cut = read(bytes, limits, [&] { return cuts.next(); });
  EXPECT_THAT(summary(whole) == summary(cut), summary(whole) + "\n-- cut --\n" + summary(cut));
  for (const auto& request : whole.requests) check(request);
  return 0;
}
