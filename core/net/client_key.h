// ClientKey: as what a client is counted, by its numeric address. An IPv4 address is one client, also where it is written as IPv6
// (::ffff:192.0.2.1); of an IPv6 address only the /64, since whoever has one address there has 2^64 of them. What is no address ("unix",
// "unknown") is one client together: it must not be a way around being counted.
// Thread-safety: pure functions, values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::net {

struct ClientKey {
  uint64_t value;
  bool operator==(const ClientKey&) const = default;
};

ClientKey client_key(std::string_view address);

// Attack: addresses that are chosen so that they all fall into one bucket of a table. Which ones those are differs with each seed, and
// nobody outside learns it.
class KeyedHash {
 public:
  KeyedHash();  // a seed of its own, from the kernel
  uint64_t operator()(ClientKey key) const;

 private:
  uint64_t first_, second_;
};

}  // namespace postern::net
