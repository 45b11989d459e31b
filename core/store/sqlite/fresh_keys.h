// FreshKeys: the newest dedupe keys, in the order in which they came, found by hash. An entry is written once and never moves, so a key
// costs one look into a small table; the last ones can be taken back, and all are given away at once.
// Thread-safety: one thread at a time.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "core/ingest/event.h"

namespace postern::store::sqlite {

struct SeenKey {
  ingest::DedupeKey key;
  std::array<char, 30> event_id;
  int64_t until_ms;  // Unix milliseconds
};

class FreshKeys {
 public:
  using Key = ingest::DedupeKey;

  explicit FreshKeys(size_t expected) { make_room(expected); }

  size_t size() const { return entries_.size(); }
  // The newest entry of this key.
  const SeenKey* find(const Key& key) const {
    uint32_t entry = slots_[place_of(key)];
    return entry == 0 ? nullptr : &entries_[entry - 1];
  }
  void add(const SeenKey& entry) {
    if ((entries_.size() + 1) * 2 > slots_.size()) make_room(slots_.size());
    entries_.push_back(entry);
    uint32_t& slot = slots_[place_of(entry.key)];
    before_.push_back(std::exchange(slot, static_cast<uint32_t>(entries_.size())));
  }
  // Takes back the last add() that was not committed.
  void take_back() {
    slots_[place_of(entries_.back().key)] = before_.back();
    before_.pop_back();
    entries_.pop_back();
  }
  size_t uncommitted() const { return before_.size(); }
  void commit() { before_.clear(); }

  // All there are; of entries with one key the last one counts.
  std::vector<SeenKey> give_away() && { return std::move(entries_); }

 private:
  // Where the key is, or would be. Keys are SHA-256: any bytes of them are as good as a hash.
  size_t place_of(const Key& key) const {
    size_t place;
    std::memcpy(&place, key.data(), sizeof place);
    for (;; ++place) {
      uint32_t entry = slots_[place & (slots_.size() - 1)];
      if (entry == 0 || entries_[entry - 1].key == key) return place & (slots_.size() - 1);
    }
  }
  // At least half of the slots stay empty.
  void make_room(size_t entries) {
    entries_.reserve(entries);
    slots_.assign(std::bit_ceil(2 * entries + 2), 0);
    for (size_t i = 0; i < entries_.size(); ++i) slots_[place_of(entries_[i].key)] = static_cast<uint32_t>(i + 1);
  }

  std::vector<SeenKey> entries_;
  std::vector<uint32_t> slots_;   // a power of two of them: place of the entry + 1; 0: empty
  std::vector<uint32_t> before_;  // what stood in the slots of the entries that were not committed
};

}  // namespace postern::store::sqlite
