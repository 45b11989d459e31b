#include "core/config/secrets.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/config/environment.h"
#include "core/config/faults.h"
#include "core/config/file.h"

namespace postern::config {

namespace {

Status invalid(std::string message) { return {Code::kInvalid, std::move(message)}; }

bool is_variable_name(std::string_view name) {
  const auto ok = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), ok);
}

Result<std::string> from_environment(std::string_view name) {
  if (!is_variable_name(name)) return invalid(quote(name) + " cannot be the name of an environment variable");
  std::optional<std::string> value = find_variable(std::string(name));
  if (!value) return invalid(fmt::format("environment variable {} is not set; export it or use ${{file:…}}", name));
  if (value->empty()) return invalid(fmt::format("environment variable {} is empty", name));
  return std::move(*value);
}

Result<std::string> from_file(std::string_view path) {
  if (!path.starts_with('/')) return invalid("${file:…} needs an absolute path");
  Result<std::string> text = read_file(std::string(path), kMaxSecretBytes);
  if (!text) return invalid(fmt::format("file {} {}", quote(path), text.status().message()));
  std::string& value = *text;
  if (value.ends_with('\n')) value.erase(value.size() - (value.ends_with("\r\n") ? 2 : 1));
  if (value.empty()) return invalid(fmt::format("file {} is empty", quote(path)));
  if (value.find('\0') != std::string::npos) return invalid(fmt::format("file {} contains NUL", quote(path)));
  return text;
}

}  // namespace

bool has_reference(std::string_view text) {
  for (size_t at = text.find("${"); at != std::string_view::npos; at = text.find("${", at + 2))
    if (at == 0 || text[at - 1] != '$') return true;
  return false;
}

Result<std::string> Secrets::look_up(std::string_view reference) {
  const auto value = [&]() -> Result<std::string> {
    if (reference.starts_with("env:")) return from_environment(reference.substr(4));
    if (reference.starts_with("file:")) return from_file(reference.substr(5));
    return invalid("unknown reference; write ${env:NAME} or ${file:/path}, and $${ for a literal ${");
  }();
  if (!value) return value;
  if (!simdjson::validate_utf8(value->data(), value->size()))
    return invalid(fmt::format("what {} holds is not valid UTF-8; store it encoded", quote(reference)));
  total_ += value->size();
  if (total_ > kMaxSecretsBytes)
    return Status(Code::kLimit, fmt::format("references stand for more than {} bytes in all", kMaxSecretsBytes));
  return value;
}

Result<std::string> Secrets::resolve(std::string_view text) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("$${")) {
      out += "${";
      at += 3;
    } else if (rest.starts_with("${")) {
      const size_t end = rest.find('}');
      if (end == std::string_view::npos) return invalid("${ without its }; write $${ for a literal ${");
      const Result<std::string> value = look_up(rest.substr(2, end - 2));
      if (!value) return value;
      out += *value;
      at += end + 1;
    } else {
      out += rest[0];
      ++at;
    }
  }
  return out;
}

}  // namespace postern::config
