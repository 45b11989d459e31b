// Explanation: why a request was accepted or refused, step by step, for the person who runs `postern verify`. It never contains a
// secret, nor a signature that would be right. Thread-safety: one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::signature {

class Explanation {
 public:
  void add(std::string_view line) {
    constexpr size_t kMaxLines = 200, kMaxLine = 2000;  // a plugin may write them
    if (lines_.size() < kMaxLines) lines_.emplace_back(line.substr(0, kMaxLine));
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

}  // namespace postern::signature
