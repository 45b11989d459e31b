#include "core/plugin/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace postern::plugin {
namespace {

constexpr unsigned kExecutable = 0x0010;  // MFD_EXEC, since Linux 6.3; before it every one is

int create(const std::string& name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = ::memfd_create(name.c_str(), kFlags | kExecutable);
  return fd < 0 && errno == EINVAL ? ::memfd_create(name.c_str(), kFlags) : fd;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Result<MemoryFile> MemoryFile::make(const std::string& name, std::string_view bytes) {
  MemoryFile file(create(name));
  if (file.fd_ < 0) return Status(Code::kIo, std::string("no memory for its code (memfd_create): ") + std::strerror(errno));
  if (!write_all(file.fd_, bytes)) return Status(Code::kIo, std::string("no memory for its code: ") + std::strerror(errno));
  if (::fcntl(file.fd_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Status(Code::kIo, std::string("its code cannot be sealed: ") + std::strerror(errno));
  }
  if (::access(file.path().c_str(), R_OK) != 0) {
    return Status(Code::kIo, file.path() + " cannot be used: plugins are loaded through it; mount /proc");
  }
  return file;
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

MemoryFile::~MemoryFile() {
  if (fd_ >= 0) ::close(fd_);
}

std::string MemoryFile::path() const { return "/proc/self/fd/" + std::to_string(fd_); }

}  // namespace postern::plugin
