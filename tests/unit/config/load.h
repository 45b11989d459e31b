// A configuration written to a file of its own and loaded, for the tests of this room.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/config/config.h"

namespace postern::config {

// A folder that is gone with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern-config-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path() const { return path_; }
  std::string write(const std::string& name, const std::string& text) const {
    const std::string file = path_ + "/" + name;
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::string path_;
};

inline Loaded load_text(const std::string& text) {
  const TempFolder folder;
  return load_config(folder.write("gateway.yaml", text));
}

// "line:column message" of each fault.
inline std::vector<std::string> told(const Loaded& loaded) {
  std::vector<std::string> out;
  for (const Fault& fault : loaded.faults)
    out.push_back(fmt::format("{}:{} {}", fault.mark.line, fault.mark.column, fault.message));
  return out;
}

}  // namespace postern::config
