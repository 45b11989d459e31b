#include "core/config/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace postern::config {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status cannot_read(int error) {
  if (error == ENOENT || error == ENOTDIR) return {Code::kNotFound, "does not exist"};
  return {Code::kIo, "cannot be read: " + std::generic_category().message(error)};
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  if (path.find('\0') != std::string::npos) return Status(Code::kInvalid, "has a NUL in its name");
  // O_NONBLOCK: a named pipe in the file's place must not hold the start up for ever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return cannot_read(errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return cannot_read(errno);
  if (S_ISDIR(info.st_mode)) return Status(Code::kInvalid, "is a folder");
  if (!S_ISREG(info.st_mode)) return Status(Code::kInvalid, "is not a regular file");

  constexpr size_t kAtLeast = 4096;  // files of /proc and the like tell no size
  std::string text;
  size_t got = 0;
  while (got <= max_bytes) {  // one byte more than allowed tells that there is more
    if (got == text.size()) {
      const size_t expected = std::max({kAtLeast, static_cast<size_t>(info.st_size) + 1, 2 * got});
      text.resize(std::min(expected, max_bytes + 1));
    }
    const ssize_t n = ::read(file.get(), text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_read(errno);
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  if (got > max_bytes) return Status(Code::kLimit, fmt::format("is longer than {} KiB", max_bytes / 1024));
  text.resize(got);
  return text;
}

}  // namespace postern::config
