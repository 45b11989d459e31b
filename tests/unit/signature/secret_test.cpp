#include "core/signature/secret.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::signature {
namespace {

TEST(SignatureSecret, Encodings) {
  const auto text = [](std::string_view secret, SecretEncoding encoding) {
    const auto bytes = decode_secret(secret, encoding);
    return bytes ? std::string(bytes->text()) : "! " + bytes.status().message();
  };
  EXPECT_EQ(text("whsec_Zm9v", SecretEncoding::kRaw), "whsec_Zm9v");
  EXPECT_EQ(text("Zm9v", SecretEncoding::kBase64), "foo");
  EXPECT_EQ(text("Zm8", SecretEncoding::kBase64), "! is not base64");
  EXPECT_EQ(text("whsec_Zm9v", SecretEncoding::kBase64), "! is not base64");
  EXPECT_EQ(text("whsec_Zm9v", SecretEncoding::kWhsec), "foo");
  EXPECT_EQ(text("whsec_Zm8", SecretEncoding::kWhsec), "fo");
  EXPECT_EQ(text("Zg", SecretEncoding::kWhsec), "f");
  EXPECT_EQ(text("whsec_Z", SecretEncoding::kWhsec), "! is not base64");
  EXPECT_EQ(text("whsec_", SecretEncoding::kWhsec), "! is empty");
  EXPECT_EQ(text("", SecretEncoding::kRaw), "! is empty");
}

TEST(SignatureSecret, WipeEmptiesTheList) {
  std::vector<std::string> secrets = {"a long enough secret to live on the heap", "b"};
  wipe(secrets);
  EXPECT_TRUE(secrets.empty());
}

}  // namespace
}  // namespace postern::signature
