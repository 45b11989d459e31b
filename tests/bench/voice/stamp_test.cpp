// The stamps by which frames are recognised on the other side of a gateway.
#include "tests/bench/voice/stamp.h"

#include <gmock/gmock.h>
#include <openssl/evp.h>

namespace postern::voice_load {
namespace {

std::string decoded(const std::string& payload) {
  std::string bytes(payload.size() / 4 * 3, '\0');
  const auto* const text = reinterpret_cast<const uint8_t*>(payload.data());
  const int size = EVP_DecodeBlock(reinterpret_cast<uint8_t*>(bytes.data()), text, static_cast<int>(payload.size()));
  EXPECT_EQ(size, static_cast<int>(bytes.size()));
  return bytes.substr(0, 160);  // EVP counts what "==" stands for
}

TEST(Stamp, AFrameIs160BytesOfSilence) {
  EXPECT_EQ(frame_payload().size(), kFrameChars);
  EXPECT_EQ(decoded(frame_payload()), std::string(160, '\xff'));
}

TEST(Stamp, IsReadAsItWasWritten) {
  std::string payload = frame_payload();
  write_stamp(payload.data(), {799, 0xfedcba98, 0x0123456789abcdef});
  const auto stamp = read_stamp(payload);
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->call, 799u);
  EXPECT_EQ(stamp->sequence, 0xfedcba98);
  EXPECT_EQ(stamp->sent_ns, 0x0123456789abcdef);
}

TEST(Stamp, IsBase64OfTheBytesInFrontAndLeavesTheRest) {
  std::string payload = frame_payload();
  write_stamp(payload.data(), {1, 2, 3});
  const std::string bytes = decoded(payload);
  EXPECT_EQ(bytes.substr(0, 18), std::string("\1\0\0\0\2\0\0\0\3\0\0\0\0\0\0\0\0\0", 18));
  EXPECT_EQ(bytes.substr(18), std::string(142, '\xff'));
}

TEST(Stamp, OtherPayloadsHaveNone) {
  EXPECT_FALSE(read_stamp(""));
  EXPECT_FALSE(read_stamp(frame_payload() + "////"));
  std::string payload = frame_payload();
  payload[23] = '-';
  EXPECT_FALSE(read_stamp(payload));
}

}  // namespace
}  // namespace postern::voice_load
