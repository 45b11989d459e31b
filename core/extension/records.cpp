// postern.records/1
#include <postern/ext/records.h>

#include <algorithm>

#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/ingest/json_body.h"

namespace postern::extension {
namespace {

constexpr size_t kMaxName = 1024;  // of a collection or a key
constexpr uint32_t kUsualPage = 100, kLargestPage = 1000;

bool is_fit(postern_str text) { return text.len > 0 && text.len <= kMaxName && view(text).find('\0') == std::string_view::npos; }

postern_status get(postern_delivery* handle, postern_str collection, postern_str key, postern_str* json, uint64_t* version) {
  return contained([&]() -> postern_status {
    *json = {nullptr, 0};
    *version = POSTERN_RECORD_ABSENT;
    if (!is_fit(collection) || !is_fit(key)) return fail(POSTERN_E_INVALID, "a collection and a key have 1 to 1024 bytes");
    dispatch::Delivery& delivery = delivery_of(handle);
    auto record = delivery.get_record(view(collection), view(key));
    if (!record) return to_abi(record.status());
    delivery.scratch() = std::move(record->value);
    *json = borrow(delivery.scratch());
    *version = record->version;
    return POSTERN_OK;
  });
}

postern_status put(postern_delivery* handle, postern_str collection, postern_str key, postern_str json, uint64_t expected_version) {
  return contained([&]() -> postern_status {
    if (!is_fit(collection) || !is_fit(key)) return fail(POSTERN_E_INVALID, "a collection and a key have 1 to 1024 bytes");
    if (!ingest::is_json(view(json))) return fail(POSTERN_E_INVALID, "a record must be JSON");
    return to_abi(delivery_of(handle).put_record(view(collection), view(key), view(json), expected_version));
  });
}

postern_status remove(postern_delivery* handle, postern_str collection, postern_str key, uint64_t expected_version) {
  return contained([&]() -> postern_status {
    if (!is_fit(collection) || !is_fit(key)) return fail(POSTERN_E_INVALID, "a collection and a key have 1 to 1024 bytes");
    return to_abi(delivery_of(handle).remove_record(view(collection), view(key), expected_version));
  });
}

postern_status list(postern_delivery* handle, postern_str collection, postern_str prefix, postern_str after, uint32_t limit,
                    postern_record_visitor visit, void* user) {
  return contained([&]() -> postern_status {
    if (!is_fit(collection) || prefix.len > kMaxName || after.len > kMaxName || visit == nullptr) {
      return fail(POSTERN_E_INVALID, "a list needs a collection and a function; a prefix has at most 1024 bytes");
    }
    size_t wanted = limit == 0 ? kUsualPage : std::min(limit, kLargestPage);
    auto page = delivery_of(handle).list_records({{}, copy(collection), copy(prefix), copy(after), wanted});
    if (!page) return to_abi(page.status());
    for (const store::NamedRecord& record : *page) {
      if (visit(user, borrow(record.key), borrow(record.value), record.version) != 0) break;
    }
    return POSTERN_OK;
  });
}

static_assert(POSTERN_RECORD_ANY == store::kAnyVersion);

}  // namespace

const void* records() {
  static const postern_ext_records table{get, put, remove, list};
  return &table;
}

}  // namespace postern::extension
