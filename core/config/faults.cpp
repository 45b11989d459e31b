#include "core/config/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace postern::config {

namespace {

constexpr size_t kMaxQuoted = 60;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

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
  std::string_view shown = text;
  if (shown.size() > kMaxQuoted) {
    size_t end = kMaxQuoted;
    while (end > 0 && is_continuation(text[end])) --end;
    shown = text.substr(0, end);
  }
  std::string out = "'";
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto c = static_cast<unsigned char>(shown[i]);
    const bool c1 = c == 0xC2 && i + 1 < shown.size() && static_cast<unsigned char>(shown[i + 1]) < 0xA0;
    if (c1) {  // U+0080..U+009F, which some terminals obey as they obey ESC
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(shown[++i]));
    } else if (c < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out += shown[i];
    }
  }
  return out + (shown.size() < text.size() ? "…'" : "'");
}

std::string to_text(const std::string& file, const Fault& fault) {
  return fmt::format("{}:{}:{}: {}", file, fault.mark.line, fault.mark.column, fault.message);
}

}  // namespace postern::config
