// Faults: what is wrong in a file, collected while reading goes on, and told in the order of the file.
// Thread-safety: one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"

namespace postern::config {

class Faults {
 public:
  // What the file says may be in the message as it is, and so in a path to a key: it is made one printable line of UTF-8, at most 1,000 bytes.
  void add(Mark mark, std::string_view message);

  size_t size() const { return faults_.size(); }

  // Sorted by place; one that was found through several aliases is told once. Leaves the list empty.
  std::vector<Fault> take();

 private:
  std::vector<Fault> faults_;
};

// A text from the file for use in a message: in single quotes, cut at 60 bytes, control characters escaped so that a
// file cannot drive the terminal that shows its faults. Never give it a secret.
std::string quote(std::string_view text);

}  // namespace postern::config
