#include "core/cli/quiet_stdout.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace postern::cli {
namespace {

// C++'s and C's buffers: what is in them goes where descriptor 1 leads now.
void flush_stdout() {
  std::cout.flush();
  std::fflush(stdout);
}

}  // namespace

QuietStdout::QuietStdout() {
  flush_stdout();
  saved_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (saved_ >= 0) ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

QuietStdout::~QuietStdout() {
  if (saved_ < 0) return;
  flush_stdout();
  ::dup2(saved_, STDOUT_FILENO);
  ::close(saved_);
}

}  // namespace postern::cli
