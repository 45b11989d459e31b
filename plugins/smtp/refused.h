// Refused: something that nobody but the one who wrote it can put right, so that it is never tried again. Its text names the field
// ("to[2]: it has a line break") and does not quote it. Thread-safety: plain values.
#pragma once

#include <stdexcept>
#include <string>

namespace smtp {

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace smtp
