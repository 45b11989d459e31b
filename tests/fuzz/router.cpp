// Router, beside a search through all templates. Input: lines "METHOD template" that are added to a fixed table, the last line is the
// request: "METHOD path".
//
// A path is decoded once. What would be another path when decoded again, or holds what another program takes for a separator, is no path.
#include "core/http/router.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/http/target.h"
#include "tests/fuzz/fuzz.h"

namespace postern::fuzz {
namespace {

using http::Router;
using Kind = Router::Match::Kind;
using Segments = std::vector<std::string>;

constexpr std::pair<const char*, const char*> kTable[] = {
    {"POST", "/hooks"},        {"GET", "/hooks"},          {"POST", "/hooks/{id}"},    {"POST", "/hooks/latest"},
    {"GET", "/hooks/{id}/calls"}, {"POST", "/a/{b}/c/{d}/e"}, {"POST", "/a/b/{c}/d/{e}"}, {"PUT", "/a/{first}/c/d/{x}"},
    {"GET", "/"},              {"POST", "/end/"},
};
constexpr size_t kMaxAdded = 20;

struct Known {
  std::string method;
  Segments segments;  // of the template
  Router::Id id;
};

Segments split(std::string_view path) {
  Segments out;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    out.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

bool is_parameter(const std::string& segment) { return segment.size() > 2 && segment.front() == '{'; }

int digit(char c) { return std::isxdigit(static_cast<unsigned char>(c)) ? std::stoi(std::string(1, c), nullptr, 16) : -1; }

// One decoding; nothing where a '%' begins no byte.
std::optional<std::string> decoded(const std::string& raw) {
  std::string out;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      out += raw[i];
      continue;
    }
    if (i + 2 >= raw.size() || digit(raw[i + 1]) < 0 || digit(raw[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(digit(raw[i + 1]) * 16 + digit(raw[i + 2]));
    i += 2;
  }
  return out;
}

bool is_safe(const std::string& segment) {
  if (segment == "." || segment == ".." || !http::is_utf8(segment)) return false;
  for (const char c : segment) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/' || c == '\\') return false;
  }
  for (size_t i = 0; i + 2 < segment.size(); ++i) {
    if (segment[i] == '%' && digit(segment[i + 1]) >= 0 && digit(segment[i + 2]) >= 0) return false;
  }
  return true;
}

std::optional<Segments> read_path(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  Segments out;
  for (const std::string& raw : split(path)) {
    const auto segment = decoded(raw);
    if (!segment || !is_safe(*segment)) return std::nullopt;
    out.push_back(*segment);
  }
  return out;
}

bool fits(const Segments& pattern, const Segments& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(), [](const std::string& wanted, const std::string& is) {
    return is_parameter(wanted) ? !is.empty() : wanted == is;
  });
}

// Which segments are parameters: of two templates that fit, the one with the first literal is meant.
std::vector<bool> shape(const Segments& pattern) {
  std::vector<bool> out;
  for (const std::string& segment : pattern) out.push_back(is_parameter(segment));
  return out;
}

Router::Match reference(const std::vector<Known>& table, std::string_view method, std::string_view path) {
  Router::Match out;
  if (path == "*") return out;
  const auto segments = read_path(path);
  if (!segments) {
    out.kind = Kind::kBadPath;
    return out;
  }
  std::optional<std::vector<bool>> best;
  for (const Known& known : table) {
    if (fits(known.segments, *segments) && (!best || shape(known.segments) < *best)) best = shape(known.segments);
  }
  if (!best) return out;
  out.kind = Kind::kNoMethod;
  for (const Known& known : table) {
    if (known.method != method || shape(known.segments) != *best || !fits(known.segments, *segments)) continue;
    out.kind = Kind::kFound;
    out.id = known.id;
    for (size_t i = 0; i < segments->size(); ++i) {
      const std::string& name = known.segments[i];
      if (is_parameter(name)) out.parameters.emplace_back(name.substr(1, name.size() - 2), (*segments)[i]);
    }
  }
  return out;
}

std::string told(const Router::Match& match) {
  std::string text = "kind " + std::to_string(static_cast<int>(match.kind));
  if (match.kind == Kind::kFound) text += " id " + std::to_string(match.id);
  for (const auto& [name, value] : match.parameters) text += " " + name + "='" + value + "'";
  return text;
}

void add(Router& router, std::vector<Known>& table, std::string_view method, std::string_view path) {
  const Router::Id id = table.size();
  if (router.add(method, path, id)) table.push_back({std::string(method), split(path), id});
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::fuzz;
  Router router;
  std::vector<Known> table;
  for (const auto& [method, path] : kTable) add(router, table, method, path);
  Input input(data, size);
  std::string_view line = input.line();
  const auto path_of = [](std::string_view text) { return text.substr(std::min(text.size(), text.find(' ') + 1)); };
  for (size_t added = 0; !input.rest().empty() && added < kMaxAdded; ++added, line = input.line()) {
    add(router, table, line.substr(0, line.find(' ')), path_of(line));
  }
  const std::string_view method = line.substr(0, line.find(' ')), path = path_of(line);
  const Router::Match is = router.match(method, path), wanted = reference(table, method, path);
  EXPECT_THAT(told(is) == told(wanted), "is " + told(is) + "\nwanted " + told(wanted));
  EXPECT(told(router.match(method, path)) == told(is));
  EXPECT(is.kind != Kind::kNoMethod || !is.allow.empty());
  return 0;
}
