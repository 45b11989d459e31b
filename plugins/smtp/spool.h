// Spool: the bytes of a composed message: in memory while they are few, else in a file without a name, which goes with the process.
// Thread-safety: read() any thread, once it is written.
#pragma once

#include <gmime/gmime.h>

#include <cstdint>
#include <memory>
#include <string>

namespace smtp {

class Spool {
 public:
  static constexpr uint64_t kMaxInMemory = 256 << 10;

  // `expected`: about how many bytes there will be. Throws std::runtime_error where no file can be made.
  explicit Spool(uint64_t expected);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // To write to, once: then finish(). Throws std::runtime_error when not everything could be written.
  GMimeStream* stream() const { return stream_; }
  void finish();

  uint64_t size() const { return size_; }
  bool in_memory() const { return fd_ < 0; }
  // At most `most` bytes from `offset`; 0 at the end. -1: the file cannot be read.
  int64_t read(uint64_t offset, char* to, size_t most) const;

 private:
  GMimeStream* stream_ = nullptr;
  int fd_ = -1;
  std::string bytes_;
  uint64_t size_ = 0;
};

}  // namespace smtp
