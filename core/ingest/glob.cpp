#include "core/ingest/glob.h"

namespace postern::ingest {

// Greedy with one point to go back to: linear but for the last star, so a glob cannot be made to explode.
bool matches_glob(std::string_view glob, std::string_view text) {
  size_t g = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_text = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

bool matches_type(std::string_view glob, std::string_view provider, std::string_view type) {
  if (matches_glob(glob, type)) return true;
  bool prefixed = type.size() > provider.size() && type.starts_with(provider) && type[provider.size()] == '.';
  return prefixed && matches_glob(glob, type.substr(provider.size() + 1));
}

}  // namespace postern::ingest
