// BloomFilter: says at once of nearly everything that nobody added it, at the price of a few looks into memory. Without it each new event
// would be searched for in `dedupe`, and each new record in `record`: large trees with a cache miss or a read from the disk at each step,
// to find it missing.
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

namespace postern::store::sqlite {

class BloomFilter {
 public:
  // 128 bits, any of them as good as any other.
  struct Hash {
    uint64_t place, choice;
  };
  static constexpr int64_t kNever = INT64_MAX;  // as the time when a key expires

  // `smallest`: for how many keys a part has room at least.
  explicit BloomFilter(size_t smallest = 1 << 18) : smallest_(smallest) {}

  // False: certainly nobody added it.
  bool may_have(Hash key) const {
    const Bits bits(key);
    return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) { return (*part.word(bits) & bits.mask) == bits.mask; });
  }

  // `until_ms`: when the key expires, Unix milliseconds.
  void add(Hash key, int64_t until_ms = kNever) {
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

  void clear() { parts_.clear(); }

  size_t bytes() const {
    size_t sum = 0;
    for (const Part& part : parts_) sum += part.size * sizeof(uint64_t);
    return sum;
  }

 private:
  static constexpr size_t kBitsPerKey = 20;
  static constexpr int kBitsSet = 5;

  struct Bits {
    explicit Bits(Hash key) : place(key.place) {
      for (int i = 0; i < kBitsSet; ++i, key.choice >>= 6) mask |= uint64_t{1} << (key.choice & 63);
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
