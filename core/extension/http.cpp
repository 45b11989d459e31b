// postern.http/1
#include <postern/ext/http.h>

#include "core/extension/convert.h"
#include "core/extension/delivery_handle.h"
#include "core/extension/table.h"

namespace postern::extension {
namespace {

postern_status header(const postern_request* handle, postern_str name, size_t nth, postern_str* value) {
  auto found = request_of(handle).header(view(name), nth);
  *value = found ? borrow(*found) : postern_str{nullptr, 0};
  return found ? POSTERN_OK : POSTERN_E_NOT_FOUND;
}

}  // namespace

const void* http() {
  static const postern_ext_http table = [] {
    postern_ext_http t{};
    t.method = [](const postern_request* r) { return borrow(request_of(r).method); };
    t.target = [](const postern_request* r) { return borrow(request_of(r).target); };
    t.body = [](const postern_request* r) { return borrow(request_of(r).body); };
    t.remote = [](const postern_request* r) { return borrow(request_of(r).remote); };
    t.header = header;
    return t;
  }();
  return &table;
}

}  // namespace postern::extension
