#include "core/config/suggest.h"

#include <algorithm>

namespace postern::config {

namespace {

constexpr size_t kMaxWord = 64;  // the table below is quadratic, and a key of the file may be long

std::string folded(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-') c = '_';
  }
  return out;
}

// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string listed(const std::vector<std::string>& known) {
  std::string out;
  for (const std::string& word : known) out += (out.empty() ? "" : ", ") + word;
  return out;
}

}  // namespace

std::string suggest(std::string_view word, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const std::string* best = nullptr;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    if (word.size() > kMaxWord || candidate.size() > kMaxWord) continue;
    const size_t slips = distance(folded(word), folded(candidate));
    if (slips < best_distance && slips < candidate.size()) {
      best = &candidate;
      best_distance = slips;
    }
  }
  if (best) return "; did you mean '" + *best + "'?";
  return "; known: " + listed(known);
}

}  // namespace postern::config
