// What plugins write to standard output while they are loaded must not get into what the command prints: for the time of its life,
// descriptor 1 is standard error.
// Thread-safety: main's thread, with nobody else writing to stdout.
#pragma once

namespace postern::cli {

class QuietStdout {
 public:
  QuietStdout();
  ~QuietStdout();
  QuietStdout(const QuietStdout&) = delete;
  QuietStdout& operator=(const QuietStdout&) = delete;

 private:
  int saved_;  // the real one; -1: it could not be saved, and nothing was changed
};

}  // namespace postern::cli
