// ChunkedReader beside a decoder of our own, written after RFC 9112 §7.1 and the reader's contract alone. Input: how the bytes are
// cut, how large a body may be, the bytes.
#include "core/http/chunked_reader.h"

#include <algorithm>
#include <string>

#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using State = http::ChunkedReader::State;

struct Outcome {
  State state = State::kReading;
  std::string body;
  size_t consumed = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome reference(std::string_view in, uint64_t max_body) {
  Outcome out;
  size_t at = 0;
  const auto end = [&](State state) {
    out.state = state;
    out.consumed = at;
    return out;
  };
  // Whether the byte is there and is the one wanted; the outcome where it is not.
  const auto take = [&](char wanted) {
    if (at == in.size()) return State::kReading;
    return in[at++] == wanted ? State::kComplete : State::kMalformed;
  };
  while (true) {
    uint64_t size = 0;
    size_t digits = 0;
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (; at < in.size(); ++at, ++digits) {
      const char c = in[at] >= 'A' && in[at] <= 'F' ? static_cast<char>(in[at] + 32) : in[at];
      const size_t value = kDigits.find(c);
      if (value == std::string_view::npos) break;
      if (digits == 16) return ++at, end(State::kMalformed);
      size = size * 16 + value;
    }
    if (at < in.size() && digits == 0) return ++at, end(State::kMalformed);
    for (const char wanted : {'\r', '\n'}) {
      if (const State s = take(wanted); s != State::kComplete) return end(s);
    }
    if (size > max_body - out.body.size()) return end(State::kTooLarge);
    if (size > 0) {
      const size_t n = std::min(static_cast<size_t>(size), in.size() - at);
      out.body.append(in.substr(at, n));
      at += n;
      if (n < size) return end(State::kReading);
    }
    for (const char wanted : {'\r', '\n'}) {
      if (const State s = take(wanted); s != State::kComplete) return end(s);
    }
    if (size == 0) return end(State::kComplete);
  }
}

template <typename NextPiece>
Outcome read(std::string_view in, uint64_t max_body, NextPiece next) {
  http::ChunkedReader reader;
  Outcome out;
  while (out.consumed < in.size() && reader.state() == State::kReading) {
    const std::string_view piece = in.substr(out.consumed, next());
    const size_t n = reader.feed(piece, out.body, max_body);
    EXPECT(n <= piece.size() && (n == piece.size() || reader.state() != State::kReading));
    EXPECT(out.body.size() <= max_body);
    out.consumed += n;
  }
  out.state = reader.state();
  return out;
}

std::string told(const Outcome& o) {
  return "state " + std::to_string(static_cast<int>(o.state)) + ", consumed " + std::to_string(o.consumed) + ", body '" + o.body + "'";
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  Input input(data, size);
  Cuts cuts(input.byte());
  const uint64_t max_body = uint64_t{1} << (input.byte() % 13);
  const std::string_view bytes = input.rest();
  const Outcome wanted = reference(bytes, max_body);
  const Outcome whole = read(bytes, max_body, [&] { return bytes.size(); });
  const Outcome cut = read(bytes, max_body, [&] { return cuts.next(); });
  EXPECT_THAT(whole == wanted, "is " + told(whole) + "\nwanted " + told(wanted));
  EXPECT_THAT(cut == wanted, "cut, is " + told(cut) + "\nwanted " + told(wanted));
  return 0;
}
