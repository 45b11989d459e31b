// What the fuzzers share. Each is a file with one LLVMFuzzerTestOneInput(), which states what has to hold for every input: EXPECT_THAT
// it holds, or the program ends with the input kept. clang's libFuzzer drives it (run.sh); replay.cpp drives it over kept files, in
// every build.
// Inputs are text where they can be, so that a person can write and read a seed. Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace postern::fuzz {

[[noreturn]] inline void fail(const char* file, int line, const char* condition, std::string_view more) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n%.*s\n", file, line, condition, static_cast<int>(more.size()), more.data());
  std::abort();
}

// An input, taken apart from its front.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  std::string_view line() {
    const size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// How a stream is cut into pieces: seed 0 is byte by byte, others are sizes that look like chance and are the same each time.
class Cuts {
 public:
  explicit Cuts(uint8_t seed) : seed_(seed), state_(seed) {}
  size_t next() {
    if (seed_ == 0) return 1;
    state_ = state_ * 1664525u + 1013904223u;
    return 1 + (state_ >> 16) % (seed_ < 128 ? 7 : 300);
  }

 private:
  uint8_t seed_;
  uint32_t state_;
};

inline bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace postern::fuzz

#define EXPECT_THAT(condition, more) \
  do {                               \
    if (!(condition)) ::postern::fuzz::fail(__FILE__, __LINE__, #condition, (more)); \
  } while (false)
#define EXPECT(condition) EXPECT_THAT(condition, "")
