// postern_delivery and postern_request of the ABI are our own objects, seen as opaque pointers.
#pragma once

#include <postern/abi.h>

#include <algorithm>

#include "core/base/clock.h"
#include "core/dispatch/delivery.h"
#include "core/http/request_view.h"

namespace postern::extension {

inline dispatch::Delivery& delivery_of(postern_delivery* handle) { return *reinterpret_cast<dispatch::Delivery*>(handle); }
inline const dispatch::Delivery& delivery_of(const postern_delivery* handle) {
  return *reinterpret_cast<const dispatch::Delivery*>(handle);
}

// Milliseconds that a call on behalf of a delivery may take: its handler must still have time to say what came of it. 0: none.
inline int64_t time_left(const dispatch::Delivery& delivery) {
  constexpr int64_t kMostToSpare = 500, kShareToSpare = 10;
  int64_t deadline = delivery.subscriber().policies.deadline.count();
  int64_t elapsed = (steady_us() - delivery.started_us()) / 1000;
  return std::max<int64_t>(0, deadline - elapsed - std::min(kMostToSpare, deadline / kShareToSpare));
}

inline const postern_request* handle_of(const http::RequestView& request) { return reinterpret_cast<const postern_request*>(&request); }
inline const http::RequestView& request_of(const postern_request* handle) { return *reinterpret_cast<const http::RequestView*>(handle); }

}  // namespace postern::extension
