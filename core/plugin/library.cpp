#include "core/plugin/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/trusted_path.h"
#include "core/config/file.h"
#include "core/plugin/elf_check.h"
#include "core/plugin/memory_file.h"

namespace postern::plugin {
namespace {

constexpr size_t kDigestDigits = 32;  // of a build without an id of its own
constexpr size_t kMaxText = 256;  // of an id or a version
constexpr size_t kMaxRequired = 64;
constexpr size_t kMaxFile = 256 * 1024 * 1024;

bool is_sane(postern_str text) { return text.len <= kMaxText && (text.ptr != nullptr || text.len == 0); }
// The loader speaks of the copy that it was given.
std::string named(std::string text, const std::string& copy, const std::string& file) {
  size_t at = text.find(copy);
  return at == std::string::npos ? text : text.replace(at, copy.size(), file);
}

std::string copy(postern_str text) { return text.len == 0 ? std::string() : std::string(text.ptr, text.len); }

}  // namespace

Result<std::string> Library::read(const std::string& path) {
  if (Status s = check_trusted(path); !s) return s;  // whoever can change it is the gateway
  auto bytes = config::read_file(path, kMaxFile);
  if (!bytes && bytes.status().code() == Code::kNotFound) return Status(Code::kNotFound, path + ": no such file; is the plugin installed?");
  if (!bytes) return bytes.status().with_context(path);
  return bytes;
}

Result<Library> Library::load(const std::string& path, HasExtension has_extension) {
  auto bytes = read(path);
  if (!bytes) return bytes.status();
  return load(path, *bytes, has_extension);
}

Result<Library> Library::load(const std::string& path, std::string_view bytes, HasExtension has_extension) {
  if (Status s = check_elf(bytes); !s) return s.with_context(path);
  auto file = MemoryFile::make(path.substr(path.rfind('/') + 1), bytes);
  if (!file) return file.status().with_context(path);
  const std::string copy_path = file->path();
  Library library;
  library.path_ = path;
  using boost::dll::load_mode::type;
  auto mode = static_cast<type>(boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local | RTLD_NODELETE);
  try {
    library.library_.load(boost::dll::fs::path(copy_path), mode);
    file->keep_for_good();
    if (!library.library_.has("postern_entry")) {
      return Status(Code::kInvalid, path + ": has no symbol postern_entry; it is no Postern plugin");
    }
    const auto& theirs = library.library_.get<const postern_plugin_entry>("postern_entry");
    size_t size = std::min<size_t>(theirs.struct_size, sizeof(postern_plugin_entry));
    std::memcpy(&library.entry_, &theirs, std::max(size, offsetof(postern_plugin_entry, flags)));
  } catch (const std::exception& e) {
    bool uses_origin = bytes.find("$ORIGIN") != std::string_view::npos;
    return Status(Code::kInvalid, path + ": cannot be loaded: " + named(e.what(), copy_path, path) +
                                      (uses_origin ? "; $ORIGIN has no meaning in a plugin, which is loaded from memory" : ""));
  }
  if (Status s = library.read_entry(has_extension); !s) return s.with_context(path);
  library.build_ = library.build_id_.empty() ? "sha256:" + sha256_hex(bytes).substr(0, kDigestDigits) : library.build_id_;
  return library;
}

Status Library::read_entry(HasExtension has_extension) {
  if (entry_.abi_major != POSTERN_ABI_MAJOR) {
    return {Code::kInvalid, "was built for version " + std::to_string(entry_.abi_major) + " of the plugin ABI, this gateway has version " +
                                std::to_string(POSTERN_ABI_MAJOR) + "; install the plugin's build for this gateway"};
  }
  if (entry_.struct_size < offsetof(postern_plugin_entry, create) + sizeof(entry_.create) || entry_.create == nullptr) {
    return {Code::kInvalid, "its postern_entry is incomplete; build it with this gateway's SDK"};
  }
  if (!is_sane(entry_.id) || entry_.id.len == 0 || !is_sane(entry_.version) || !is_sane(entry_.build_id) ||
      entry_.requires_len > kMaxRequired || (entry_.requires_ext == nullptr && entry_.requires_len > 0)) {
    return {Code::kInvalid, "its postern_entry is malformed; build it with this gateway's SDK"};
  }
  id_ = copy(entry_.id);
  version_ = copy(entry_.version);
  build_id_ = copy(entry_.build_id);
  for (size_t i = 0; i < entry_.requires_len; ++i) {
    postern_str extension = entry_.requires_ext[i];
    if (!is_sane(extension)) return {Code::kInvalid, "its postern_entry is malformed; build it with this gateway's SDK"};
    if (!has_extension({extension.ptr, extension.len})) {
      return {Code::kInvalid, "needs the extension " + copy(extension) + ", which this gateway does not have; install a newer gateway"};
    }
  }
  return Status::ok();
}

}  // namespace postern::plugin
