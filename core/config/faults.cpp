#include "core/config/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "core/base/json_text.h"

namespace postern::config {

namespace {

constexpr size_t kMaxQuoted = 60;
constexpr size_t kMaxMessage = 1000;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::string printable(std::string_view text) {
  std::string out;
  append_printable(text, out);
  return out;
}

std::string_view cut(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && is_continuation(text[most])) --most;
  return text.substr(0, most);
}

}  // namespace

void Faults::add(Mark mark, std::string_view message) {
  const std::string whole = printable(message);
  const std::string_view told = cut(whole, kMaxMessage);
  faults_.push_back({mark, told.size() < whole.size() ? std::string(told) + "…" : whole});
}

std::vector<Fault> Faults::take() {
  std::stable_sort(faults_.begin(), faults_.end(), [](const Fault& a, const Fault& b) { return a.mark < b.mark; });
  std::vector<Fault> sorted;
  std::unordered_set<std::string> here;  // messages told at the present place
  for (Fault& fault : faults_) {
    if (!sorted.empty() && sorted.back().mark < fault.mark) here.clear();
    if (here.insert(fault.message).second) sorted.push_back(std::move(fault));
  }
  faults_.clear();
  return sorted;
}

std::string quote(std::string_view text) {
  const std::string_view shown = cut(text, kMaxQuoted);
  return "'" + printable(shown) + (shown.size() < text.size() ? "…'" : "'");
}

Mark nearest(const std::map<std::string, Mark>& marks, std::string pointer, Mark otherwise) {
  while (true) {
    if (auto mark = marks.find(pointer); mark != marks.end()) return mark->second;
    size_t slash = pointer.rfind('/');
    if (slash == std::string::npos) return otherwise;
    pointer.resize(slash);
  }
}

std::string to_text(const std::string& file, const Fault& fault) {
  return fmt::format("{}:{}:{}: {}", file, fault.mark.line, fault.mark.column, fault.message);
}

}  // namespace postern::config
