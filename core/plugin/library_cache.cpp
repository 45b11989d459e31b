#include "core/plugin/library_cache.h"

namespace postern::plugin {

Result<std::shared_ptr<const Library>> LibraryCache::load(const std::string& path, HasExtension has_extension) {
  auto bytes = Library::read(path);
  if (!bytes) return bytes.status();
  auto [place, is_new] = loaded_.try_emplace({path, sha256(*bytes)});
  if (!is_new) return place->second;
  auto library = Library::load(path, *bytes, has_extension);
  if (!library) {
    loaded_.erase(place);
    return library.status();
  }
  place->second = std::make_shared<const Library>(std::move(*library));
  return place->second;
}

}  // namespace postern::plugin
