#include "template_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "templates.h"

namespace smtp {
namespace {

constexpr size_t kMaxDepth = 32;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

[[noreturn]] void fail(std::string_view source, size_t at, const std::string& what) {
  const std::string_view before = source.substr(0, at);
  const size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  const size_t column = at - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
  throw TemplateFault("line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + what);
}

struct Section {
  std::string_view name;
  size_t at;
};

std::string shown(std::string_view name) {
  constexpr size_t kLongest = 60;
  return "'" + std::string(name.substr(0, kLongest)) + (name.size() > kLongest ? "…'" : "'");
}

}  // namespace

void check_template(std::string_view source) {
  if (source.size() > Template::kMaxSource) throw TemplateFault("it has more than 256 KiB");
  std::vector<Section> open;
  for (size_t at = source.find("{{"); at != std::string_view::npos;) {
    size_t begin = at + 2;
    const bool triple = begin < source.size() && source[begin] == '{';
    if (triple) ++begin;
    const std::string_view closing = triple ? "}}}" : "}}";
    const size_t end = source.find(closing, begin);
    if (end == std::string_view::npos) fail(source, at, "this tag is not closed by " + std::string(closing));
    const std::string_view tag = trim(source.substr(begin, end - begin));
    const char kind = tag.empty() || triple ? '\0' : tag[0];
    const std::string_view name = kind == '\0' ? tag : trim(tag.substr(1));
    if (tag.empty()) fail(source, at, "this tag is empty");
    if (kind == '>') fail(source, at, "partials are not there; write what it stands for");
    if (kind == '=') fail(source, at, "delimiters cannot be changed");
    if ((kind == '#' || kind == '^' || kind == '/' || kind == '&') && name.empty()) fail(source, at, "this tag has no name");
    if (kind == '#' || kind == '^') {
      open.push_back({name, at});
      if (open.size() > kMaxDepth) fail(source, at, "sections are nested deeper than 32");
    } else if (kind == '/') {
      if (open.empty()) fail(source, at, "the section " + shown(name) + " was not opened");
      if (open.back().name != name) fail(source, at, "the section " + shown(open.back().name) + " is still open here");
      open.pop_back();
    }
    at = source.find("{{", end + closing.size());
  }
  if (!open.empty()) fail(source, open.back().at, "the section " + shown(open.back().name) + " is not closed");
}

}  // namespace smtp
