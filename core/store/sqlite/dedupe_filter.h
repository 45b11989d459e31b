// DedupeFilter: says at once of nearly every new key that nobody had it before, at the price of a few looks into memory. Without it each
// event would be searched for in `dedupe`, a large tree with a cache miss or a read from the disk at each step, and found missing.
//
// Bloom filters whose bits for one key lie in one word (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007).
// A full part is followed by one half as large as what all of them remember, so that there are few; a part goes when the last of its keys
// has expired, so that memory follows what is remembered: about 5 bytes for each key.
// Thread-safety: one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "core/ingest/event.h"

namespace postern::store::sqlite {

class DedupeFilter {
 public:
  using Key = ingest::DedupeKey;

  // `smallest`: for how many keys a part has room at least.
  explicit DedupeFilter(size_t smallest = 1 << 18) : smallest_(smallest) {}

  // False: certainly nobody added it.
  bool may_have(const Key& key) const {
    const Bits bits(key);
    return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) { return (*part.word(bits) & bits.mask) == bits.mask; });
  }

  // `until_ms`: when the key expires, Unix milliseconds.
  void add(const Key& key, int64_t until_ms) {
    if (parts_.empty() || parts_.back().keys >= parts_.back().room) grow();
    Part& part = parts_.back();
    const Bits bits(key);
    *part.word(bits) |= bits.mask;
    part.until_ms = std::max(part.until_ms, until_ms);
    ++part.keys;
  }

  void drop_expired(int64_t now_ms) {
    std::erase_if(parts_, [now_ms](const Part& part) { return part.until_ms <= now_ms; });
  }

  size_t bytes() const {
    size_t sum = 0;
    for (const Part& part : parts_) sum += part.size * sizeof(uint64_t);
    return sum;
  }

 private:
  static constexpr size_t kBitsPerKey = 20;
  static constexpr int kBitsSet = 5;

  struct Bits {  // keys are cut from SHA-256: any bits of them are as good as a hash
    explicit Bits(const Key& key) {
      uint64_t choice;
      std::memcpy(&place, key.data(), sizeof place);
      std::memcpy(&choice, key.data() + sizeof place, sizeof choice);
      for (int i = 0; i < kBitsSet; ++i, choice >>= 6) mask |= uint64_t{1} << (choice & 63);
    }
    uint64_t place;
    uint64_t mask = 0;
  };
  struct Free {
    void operator()(uint64_t* words) const { std::free(words); }
  };
  struct Part {
    uint64_t* word(const Bits& bits) const {
      __extension__ using Bits128 = unsigned __int128;
      return &words[static_cast<size_t>((Bits128{bits.place} * size) >> 64)];
    }
    std::unique_ptr<uint64_t[], Free> words;
    size_t size = 0;  // of them
    size_t keys = 0, room = 0;
    int64_t until_ms = 0;
  };

  void grow() {
    size_t remembered = 0;
    for (const Part& part : parts_) remembered += part.keys;
    Part& part = parts_.emplace_back();
    part.room = std::max(smallest_, remembered / 2);
    part.size = (part.room * kBitsPerKey + 63) / 64;
    // Zeroed by the system where it is first touched: the committer must not stop for it.
    part.words.reset(static_cast<uint64_t*>(std::calloc(part.size, sizeof(uint64_t))));
    if (!part.words) throw std::bad_alloc();
  }

  const size_t smallest_;
  std::vector<Part> parts_;
};

}  // namespace postern::store::sqlite
