// LibraryCache: the plugins' code that this process has loaded. Code is never unmapped, so what was loaded once is used again when a file
// has the same content again; only new content is loaded, beside the old.
// Thread-safety: one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/base/digest.h"
#include "core/plugin/library.h"

namespace postern::plugin {

class LibraryCache {
 public:
  // Every failure says what is wrong with which file and what to do. Failures are not kept.
  Result<std::shared_ptr<const Library>> load(const std::string& path, HasExtension has_extension);

 private:
  std::map<std::pair<std::string, Sha256>, std::shared_ptr<const Library>> loaded_;  // by path and content
};

}  // namespace postern::plugin
