// Ids as people see them.
//
// An event id is "evt_" and 26 characters: Crockford base32 of 16 bytes = 48 bits Unix milliseconds, 48 bits seq, 32 random bits.
// So ids sort by time, are unique across stores, and lead to their row through seq without an index on random values.
// A delivery id is "dlv_" and the delivery's seq: the idempotency key of calls to the outside.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

std::string make_event_id(int64_t unix_ms, int64_t seq);

// The seq inside an event id; nothing when the text is none. The id must still be compared with the stored one.
std::optional<int64_t> seq_of_event_id(std::string_view id);

std::string delivery_id(int64_t seq);

// Marks one request in log lines and in X-Request-Id: "req_" and 16 hex digits, unique within and very likely across runs.
std::string make_request_id();

// `size` random bytes of the kernel's generator.
std::string random_bytes(size_t size);

}  // namespace postern
