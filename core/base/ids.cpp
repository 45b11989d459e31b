#include "core/base/ids.h"

#include <sys/random.h>

#include <array>
#include <atomic>
#include <cstring>
#include <random>
#include <stdexcept>

namespace postern {
namespace {

__extension__ using Bits128 = unsigned __int128;

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's, lower case
constexpr std::string_view kEventPrefix = "evt_";
constexpr size_t kDigits = 26;  // ⌈128 / 5⌉

int digit_value(char c) {
  auto at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

uint64_t random_u64() {
  thread_local std::mt19937_64 generator = [] {
    uint64_t seed;
    std::memcpy(&seed, random_bytes(sizeof seed).data(), sizeof seed);
    return std::mt19937_64(seed);
  }();
  return generator();
}

}  // namespace

std::string make_event_id(int64_t unix_ms, int64_t seq) {
  constexpr uint64_t kMask48 = (uint64_t{1} << 48) - 1;
  auto time = static_cast<uint64_t>(unix_ms) & kMask48;
  auto number = static_cast<uint64_t>(seq) & kMask48;
  Bits128 bits = time;
  bits = (bits << 48) | number;
  bits = (bits << 32) | (random_u64() & 0xffffffffu);

  std::string id(kEventPrefix.size() + kDigits, '0');
  kEventPrefix.copy(id.data(), kEventPrefix.size());
  for (size_t i = kDigits; i-- > 0; bits >>= 5) id[kEventPrefix.size() + i] = kAlphabet[static_cast<size_t>(bits & 31)];
  return id;
}

std::optional<int64_t> seq_of_event_id(std::string_view id) {
  if (id.size() != kEventPrefix.size() + kDigits || !id.starts_with(kEventPrefix)) return std::nullopt;
  Bits128 bits = 0;
  for (char c : id.substr(kEventPrefix.size())) {
    int value = digit_value(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 5) | static_cast<unsigned>(value);
  }
  return static_cast<int64_t>((bits >> 32) & ((uint64_t{1} << 48) - 1));
}

std::string delivery_id(int64_t seq) { return "dlv_" + std::to_string(seq); }

std::string make_request_id() {
  static const uint64_t boot = random_u64();
  static std::atomic<uint64_t> counter{0};
  uint64_t number = (boot << 32) ^ (boot >> 32) ^ counter.fetch_add(1, std::memory_order_relaxed);
  constexpr char kHex[] = "0123456789abcdef";
  std::string id = "req_0000000000000000";
  for (size_t i = id.size(); i-- > 4; number >>= 4) id[i] = kHex[number & 15];
  return id;
}

std::string random_bytes(size_t size) {
  std::string bytes(size, '\0');
  for (size_t done = 0; done < size;) {
    ssize_t n = ::getrandom(bytes.data() + done, size - done, 0);
    if (n < 0 && errno != EINTR) throw std::runtime_error("getrandom failed");
    if (n > 0) done += static_cast<size_t>(n);
  }
  return bytes;
}

}  // namespace postern
