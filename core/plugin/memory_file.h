// MemoryFile: a sealed copy of a plugin's file, from which it is loaded. What happens to the file afterwards, be it overwritten in place,
// cannot touch code that runs; and a file with new content is new code, though it has the same name: dlopen goes by path.
// Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace postern::plugin {

class MemoryFile {
 public:
  // `name` is what /proc/PID/maps and debuggers show.
  static Result<MemoryFile> make(const std::string& name, std::string_view bytes);
  ~MemoryFile();
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&& other) noexcept;

  // Valid in this process as long as this object lives.
  std::string path() const;
  // What has been loaded stays as long as the process lives, and so must its path be no other file's: the loader would take it for the
  // same.
  void keep_for_good() { fd_ = -1; }

 private:
  explicit MemoryFile(int fd) : fd_(fd) {}

  int fd_ = -1;
};

}  // namespace postern::plugin
