// SHA-256 against the examples of FIPS 180-4 (NIST, "SHA-256 Example Algorithm Test Vectors") and sha256sum.
#include "core/base/digest.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace postern {
namespace {

TEST(Digest, OfKnownTexts) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, OfBytesThatAreNoText) {
  // printf '\0' | sha256sum
  EXPECT_EQ(sha256_hex(std::string_view("\0", 1)), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  EXPECT_EQ(sha256_hex({}), sha256_hex("")) << "a view of nothing has no address";
  Sha256 raw = sha256("abc");
  EXPECT_EQ(raw.front(), 0xba);
  EXPECT_EQ(raw.back(), 0xad);
}

// The algorithm is looked up at the first use, whichever thread that is on.
TEST(Digest, FromAnyThread) {
  std::vector<std::string> found(8);
  std::vector<std::thread> threads;
  for (std::string& text : found) threads.emplace_back([&text] { text = sha256_hex("abc"); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : found) EXPECT_EQ(text, sha256_hex("abc"));
}

}  // namespace
}  // namespace postern
