// A bounded read of a whole file, for the configuration and for the secrets that it names.
// Thread-safety: any thread.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/status.h"

namespace postern::config {

// kNotFound, kInvalid (a folder, a device, a pipe), kLimit (longer than max_bytes) or kIo. Messages complete a sentence
// that begins with the file's name ("… does not exist") and never contain what is in the file.
Result<std::string> read_file(const std::string& path, size_t max_bytes);

}  // namespace postern::config
