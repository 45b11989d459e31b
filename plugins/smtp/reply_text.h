// What a server said, as it may be shown: one line, printable ASCII, at most 500 bytes, without the secrets that were sent to it.
// Thread-safety: a Cleaner is immutable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server.h"

namespace smtp {

class Cleaner {
 public:
  static constexpr size_t kMax = 500;

  explicit Cleaner(const Server& server);
  std::string operator()(std::string_view text) const;

 private:
  std::vector<std::string> secrets_;  // in each form in which they go over the wire; the longest first
};

}  // namespace smtp
