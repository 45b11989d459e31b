// KeyedMac: HMAC (RFC 2104) under one secret, prepared once: the two blocks that depend on the secret alone are hashed, and copied for
// each computation. It takes the message in pieces, so that a body is never copied to be signed. Thread-safety: const access from any
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/status.h"
#include "core/signature/description.h"

namespace postern::signature {

constexpr size_t kMaxMacSize = 64;
using Mac = std::array<unsigned char, kMaxMacSize>;  // only the first mac_size() bytes count

size_t mac_size(Algorithm algorithm);

class KeyedMac {
 public:
  // `key` is not empty. What is kept of it is wiped at the end.
  static Result<KeyedMac> create(Algorithm algorithm, std::span<const unsigned char> key);

  // The MAC over the pieces, one after the other.
  void compute(std::span<const std::string_view> pieces, Mac& out) const { prepared_->compute(pieces, out); }

 private:
  struct Prepared {
    virtual ~Prepared() = default;
    virtual void compute(std::span<const std::string_view> pieces, Mac& out) const = 0;
  };
  template <typename Hash>
  class Hmac;
  explicit KeyedMac(std::unique_ptr<const Prepared> prepared) : prepared_(std::move(prepared)) {}

  std::unique_ptr<const Prepared> prepared_;
};

}  // namespace postern::signature
