// postern_delivery and postern_request of the ABI are our own objects, seen as opaque pointers.
#pragma once

#include <postern/abi.h>

#include "core/dispatch/delivery.h"
#include "core/http/request_view.h"

namespace postern::extension {

inline dispatch::Delivery& delivery_of(postern_delivery* handle) { return *reinterpret_cast<dispatch::Delivery*>(handle); }
inline const dispatch::Delivery& delivery_of(const postern_delivery* handle) {
  return *reinterpret_cast<const dispatch::Delivery*>(handle);
}
inline const postern_request* handle_of(const http::RequestView& request) { return reinterpret_cast<const postern_request*>(&request); }
inline const http::RequestView& request_of(const postern_request* handle) { return *reinterpret_cast<const http::RequestView*>(handle); }

}  // namespace postern::extension
