#include "core/plugin/call.h"

#include <utility>

namespace postern::plugin {
namespace {

thread_local std::string error_text;

constexpr size_t kMaxErrorText = 1024;

const char* meaning_of(postern_status status) {
  switch (status) {
    case POSTERN_E_INVALID: return "invalid argument";
    case POSTERN_E_UNSUPPORTED: return "not supported";
    case POSTERN_E_STATE: return "wrong state";
    case POSTERN_E_TIMEOUT: return "timed out";
    case POSTERN_E_LIMIT: return "limit reached";
    case POSTERN_E_GONE: return "too late";
    case POSTERN_E_DENIED: return "denied";
    case POSTERN_E_NOT_FOUND: return "not found";
    default: return "internal error of the plugin";
  }
}

}  // namespace

void leave_error(std::string_view text) { error_text = text.substr(0, kMaxErrorText); }
std::string take_error() { return std::exchange(error_text, {}); }

std::string explain(postern_status status) {
  std::string text = take_error();
  return text.empty() ? std::string(meaning_of(status)) + " (status " + std::to_string(status) + ")" : text;
}

Status to_status(postern_status status) {
  if (status == POSTERN_OK) return Status::ok();
  if (status > 0) return {Code::kInternal, "the plugin returned the unknown status " + std::to_string(status)};
  return {status == POSTERN_E_DENIED ? Code::kDenied : Code::kInternal, explain(status)};
}

}  // namespace postern::plugin
