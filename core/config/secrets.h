// Secrets: the references in a value, replaced by what they stand for.
//
//   ${env:NAME}     the environment variable
//   ${file:/path}   the file without its trailing newline; at most 64 KiB, a regular file, an absolute path
//   $${             a literal "${"
//
// References stand anywhere in a value, several in one if need be. They are replaced after YAML parsing, so what a
// secret contains is never read as YAML, nor as a reference. Values live in the Config, and those of variables in environment.h,
// once they have been taken out of the environment.
// Thread-safety: one thread at a time; reads the environment, so no thread may change it meanwhile.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace postern::config {

constexpr size_t kMaxSecretBytes = 64 << 10;
constexpr size_t kMaxSecretsBytes = 4 << 20;  // of all together: aliases may repeat one often

class Secrets {
 public:
  // The value with its references replaced. The fault's text names the variable or file, never what it holds.
  Result<std::string> resolve(std::string_view text);

 private:
  Result<std::string> look_up(std::string_view reference);

  size_t total_ = 0;
};

// Whether the text holds a reference (and so is a string, whatever it looks like once replaced).
bool has_reference(std::string_view text);

}  // namespace postern::config
