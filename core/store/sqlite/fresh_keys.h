// FreshKeys: the newest dedupe keys, in the order in which they came, found by hash. An entry is written once and never moves, so a key
// costs one look into a small table; the last ones can be taken back.
//
// The table's places go by a key's first bits (keys are SHA-256: any bits of them are as good as a hash), and the next free one is taken.
// So keys stand there in their order but for those that touch one another, and can be given out sorted, some at a time: to sort hundreds
// of thousands at once would make every sender wait.
// Thread-safety: one thread at a time.
#pragma once

#include <endian.h>

#include <algorithm>
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
    if ((entries_.size() + 1) * 2 > home_slots()) make_room(home_slots() / 2 + 1);
    size_t place = place_of(entry.key);
    while (place + 1 == slots_.size()) {  // the last one stays empty: it ends every search
      make_room(home_slots() / 2 + 1);
      place = place_of(entry.key);
    }
    entries_.push_back(entry);
    before_.push_back(std::exchange(slots_[place], static_cast<uint32_t>(entries_.size())));
  }
  // Takes back the last add() that was not committed.
  void take_back() {
    slots_[place_of(entries_.back().key)] = before_.back();
    before_.pop_back();
    entries_.pop_back();
  }
  size_t uncommitted() const { return before_.size(); }
  void commit() { before_.clear(); }

  // Appends the next entries in the order of their keys, of each key the newest one: at least one from `place` on (0 at first), unless
  // there is none. Gives the place where the next begin. Nothing may be added meanwhile.
  size_t take_sorted(size_t place, std::vector<const SeenKey*>& to) const {
    while (place < slots_.size() && slots_[place] == 0) ++place;
    auto begin = static_cast<ptrdiff_t>(to.size());
    for (; place < slots_.size() && slots_[place] != 0; ++place) to.push_back(&entries_[slots_[place] - 1]);
    std::sort(to.begin() + begin, to.end(), [](const SeenKey* a, const SeenKey* b) { return a->key < b->key; });
    return place;
  }

 private:
  static constexpr size_t kTail = 64;  // behind the last home

  size_t home_slots() const { return size_t{1} << home_bits_; }
  // Where the key is, or would be.
  size_t place_of(const Key& key) const {
    uint64_t first;
    std::memcpy(&first, key.data(), sizeof first);
    size_t place = static_cast<size_t>(be64toh(first) >> (64 - home_bits_));
    while (place + 1 < slots_.size() && slots_[place] != 0 && entries_[slots_[place] - 1].key != key) ++place;
    return place;
  }
  // At least half of the slots stay empty.
  void make_room(size_t entries) {
    entries_.reserve(entries);
    home_bits_ = static_cast<unsigned>(std::countr_zero(std::bit_ceil(2 * entries + 2)));
    slots_.assign(home_slots() + kTail, 0);
    for (size_t i = 0; i < entries_.size(); ++i) slots_[place_of(entries_[i].key)] = static_cast<uint32_t>(i + 1);
  }

  std::vector<SeenKey> entries_;
  std::vector<uint32_t> slots_;   // place of the entry + 1; 0: empty
  unsigned home_bits_ = 0;
  std::vector<uint32_t> before_;  // what stood in the slots of the entries that were not committed
};

}  // namespace postern::store::sqlite
