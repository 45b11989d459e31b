// Calls into a plugin: each is noted in the crash record while it lasts, no exception comes out of it, and a negative status becomes a
// Status with the plugin's own words.
// Thread-safety: any thread; the words belong to the calling thread.
#pragma once

#include <postern/abi.h>

#include <exception>
#include <string>

#include "core/base/status.h"
#include "core/plugin/crash_record.h"
#include "core/plugin/host.h"

namespace postern::plugin {

// What the plugin said by set_error since the call began, or what the status means.
std::string explain(postern_status status);

// A negative status as an error: kDenied stays one, everything else is a fault of the plugin.
Status to_status(postern_status status);

// An exception is a breach of the ABI, but must not end the gateway. `threw`: whether there was one, for whom that makes a difference.
template <typename Call>
postern_status guarded(const CallSite& site, Call call, bool* threw = nullptr) {
  take_error();
  Inside inside(site);
  try {
    return call();
  } catch (const std::exception& e) {
    leave_error(std::string("exception: ") + e.what());
  } catch (...) {
    leave_error("exception of an unknown type");
  }
  if (threw != nullptr) *threw = true;
  return POSTERN_E_INTERNAL;
}

}  // namespace postern::plugin
