// Between the ABI's types and ours. Thread-safety: pure functions.
#pragma once

#include <postern/abi.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "core/base/status.h"
#include "core/plugin/host.h"

namespace postern::extension {

inline std::string_view view(postern_str text) {
  return text.ptr == nullptr ? std::string_view() : std::string_view(text.ptr, text.len);
}
inline std::string copy(postern_str text) { return std::string(view(text)); }
inline postern_str borrow(std::string_view text) { return {text.data(), text.size()}; }

// A SIZED struct of the plugin: min(theirs, ours) bytes, the rest zero.
template <typename T>
T sized(const T* theirs) {
  T ours{};
  if (theirs != nullptr) std::memcpy(&ours, theirs, std::min<size_t>(theirs->struct_size, sizeof(T)));
  return ours;
}

inline postern_status to_abi(const Status& status) {
  if (status) return POSTERN_OK;
  plugin::leave_error(status.message());
  switch (status.code()) {
    case Code::kInvalid: return POSTERN_E_INVALID;
    case Code::kNotFound: return POSTERN_E_NOT_FOUND;
    case Code::kDenied: return POSTERN_E_DENIED;
    case Code::kLimit: return POSTERN_E_LIMIT;
    case Code::kTimeout: return POSTERN_E_TIMEOUT;
    case Code::kGone: return POSTERN_E_GONE;
    default: return POSTERN_E_INTERNAL;
  }
}

inline postern_status fail(postern_status status, std::string_view text) {
  plugin::leave_error(text);
  return status;
}

// Registrations are for init alone.
inline bool in_init(const postern_host* host) { return host->phase == postern_host::Phase::kInit; }

// Something in the plugin's configuration is wrong: kept for whoever reads why it is refused, up to a bound. In init.
postern_status tell_fault(postern_host* host, plugin::ConfigFault fault);

// A registration was refused: the reason is kept for whoever reads why init failed.
inline postern_status refuse(postern_host* host, const Status& status) {
  host->registrations.refusal = status.message();
  return to_abi(status);
}

// No exception crosses the line, ours neither (memory may run out).
template <typename Call>
postern_status contained(Call call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return fail(POSTERN_E_INTERNAL, e.what());
  } catch (...) {
    return fail(POSTERN_E_INTERNAL, "unknown exception in the host");
  }
}

}  // namespace postern::extension
