// SpareFile: a file descriptor that is held for the moment in which there is no other, so that a connection can still be accepted and told
// so. Without it, it would wait in the kernel's queue and report itself again and again.
// Thread-safety: one thread. Another thread may snatch the descriptor while it is given up; then there is none until open() succeeds.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace postern::net {

class SpareFile {
 public:
  SpareFile() = default;
  ~SpareFile() { close(); }
  SpareFile(const SpareFile&) = delete;
  SpareFile& operator=(const SpareFile&) = delete;

  bool open() {
    if (fd_ < 0) fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd_ >= 0;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace postern::net
