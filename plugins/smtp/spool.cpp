#include "spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace smtp {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

// Whatever happens to the process, nobody else reads it and nothing of it stays.
int open_unlinked() {
  const std::string folder = std::filesystem::temp_directory_path();
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  std::string name = folder + "/postern-mail-XXXXXX";  // a file system without O_TMPFILE
  fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) fail("no temporary file in " + folder + " for a large mail");
  ::unlink(name.c_str());
  return fd;
}

}  // namespace

Spool::Spool(uint64_t expected) {
  if (expected <= kMaxInMemory) {
    stream_ = g_mime_stream_mem_new();
    return;
  }
  fd_ = open_unlinked();
  stream_ = g_mime_stream_fs_new(fd_);
  g_mime_stream_fs_set_owner(GMIME_STREAM_FS(stream_), FALSE);
}

Spool::~Spool() {
  if (stream_ != nullptr) g_object_unref(stream_);
  if (fd_ >= 0) ::close(fd_);
}

void Spool::finish() {
  if (g_mime_stream_flush(stream_) != 0) fail("a mail cannot be written to its temporary file");
  if (fd_ < 0) {
    const GByteArray* array = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream_));
    bytes_.assign(reinterpret_cast<const char*>(array->data), array->len);
    size_ = bytes_.size();
  } else {
    const off_t end = ::lseek(fd_, 0, SEEK_END);
    if (end < 0) fail("a mail's temporary file");
    size_ = static_cast<uint64_t>(end);
  }
  g_object_unref(stream_);
  stream_ = nullptr;
}

int64_t Spool::read(uint64_t offset, char* to, size_t most) const {
  if (offset >= size_) return 0;
  if (fd_ >= 0) return ::pread(fd_, to, most, static_cast<off_t>(offset));
  const size_t count = std::min<uint64_t>(most, size_ - offset);
  std::memcpy(to, bytes_.data() + offset, count);
  return static_cast<int64_t>(count);
}

}  // namespace smtp
