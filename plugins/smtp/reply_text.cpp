#include "reply_text.h"

#include <glib.h>

#include <algorithm>
#include <memory>

namespace smtp {
namespace {

std::string base64(const std::string& bytes) {
  const std::unique_ptr<gchar, decltype(&g_free)> text(g_base64_encode(reinterpret_cast<const guchar*>(bytes.data()), bytes.size()), &g_free);
  return text.get();
}

}  // namespace

Cleaner::Cleaner(const Server& server) {
  for (const std::string& secret : {server.password, server.access_token}) {
    if (secret.empty()) continue;
    secrets_.push_back(secret);
    secrets_.push_back(base64(secret));                                                       // LOGIN
    secrets_.push_back(base64(std::string(1, '\0') + server.user + std::string(1, '\0') + secret));  // PLAIN
    secrets_.push_back(base64("user=" + server.user + "\1auth=Bearer " + secret + "\1\1"));   // XOAUTH2
  }
  std::stable_sort(secrets_.begin(), secrets_.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

std::string Cleaner::operator()(std::string_view given) const {
  constexpr size_t kMaxLookedAt = 4'096;
  std::string text(given.substr(0, kMaxLookedAt));
  for (const std::string& secret : secrets_) {
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) text.replace(at, secret.size(), "***");
  }
  std::string out;
  for (char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out += blank ? ' ' : c > ' ' && c < 0x7f ? c : '?';
  }
  if (out.size() > kMax) out.replace(kMax - 3, std::string::npos, "...");
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace smtp
