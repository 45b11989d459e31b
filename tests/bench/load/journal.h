// Journal: the ids of events, one to a line, appended to a file. What write() has returned from is in the file whatever
// happens to the gateway or to this program (a power cut aside: it does not fsync). Thread-safety: one thread at a time
// for each Journal; several Journals may append to one file, a line is never torn.
#pragma once

#include <string>

#include "tests/bench/load/event_source.h"

namespace postern::load {

class Journal {
 public:
  // An empty path: writes nothing. Throws std::runtime_error when the file cannot be opened or written.
  explicit Journal(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(EventId id);
  // Hands all that was added to the operating system.
  void flush();

 private:
  int fd_ = -1;
  std::string lines_;
};

}  // namespace postern::load
