// Library: a plugin's shared library, loaded and checked: the ABI version is compared before any function of it is called.
// Code is never unmapped (RTLD_NODELETE): a thread may still be inside when its instance is long gone.
// Thread-safety: load() on one thread at a time; afterwards const.
#pragma once

#include <postern/abi.h>

#include <boost/dll/shared_library.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace postern::plugin {

// Tells whether this host has an extension.
using HasExtension = bool (*)(std::string_view id);

class Library {
 public:
  // Every failure says what is wrong with which file and what to do.
  // The file's content, once; nobody else may be able to change it. At most 256 MiB.
  static Result<std::string> read(const std::string& path);
  // `bytes`: what read() gave for the path.
  static Result<Library> load(const std::string& path, std::string_view bytes, HasExtension has_extension);
  static Result<Library> load(const std::string& path, HasExtension has_extension);

  const postern_plugin_entry& entry() const { return entry_; }
  const std::string& path() const { return path_; }
  const std::string& id() const { return id_; }
  const std::string& version() const { return version_; }
  const std::string& build_id() const { return build_id_; }
  // Another text for each build: its own id, or else a digest of the file.
  const std::string& build() const { return build_; }

 private:
  Status read_entry(HasExtension has_extension);

  std::string path_;
  boost::dll::shared_library library_;
  postern_plugin_entry entry_{};  // min(theirs, ours), the rest zero
  std::string id_, version_, build_id_, build_;
};

}  // namespace postern::plugin
