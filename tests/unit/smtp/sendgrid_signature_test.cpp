// The scheme `sendgrid`, with its public vector and with keys of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "smtp/sendgrid_signature.h"
#include "tests/unit/smtp/inbound_host.h"

namespace smtp_test {
namespace {

using postern::testing::base64;
using postern::testing::from_base64;
using postern::testing::Headers;
using postern::testing::kSendgridSignatureHeader;
using postern::testing::kSendgridTimestampHeader;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SendgridSignatureTest : public InboundTest {
 protected:
  Verified verify(const std::string& signature, const std::string& timestamp, const std::string& body, int64_t now_ms = kVectorArrival) {
    const Headers headers = {{std::string(kSendgridSignatureHeader), signature}, {std::string(kSendgridTimestampHeader), timestamp}};
    return verify_headers(headers, body, now_ms);
  }
  Verified verify_headers(const Headers& headers, const std::string& body, int64_t now_ms = kVectorArrival) {
    const Verified told = host_.verify("sendgrid", {.target = "/api/v1/webhooks/email", .headers = headers, .body = body}, {}, now_ms);
    const Verified silent =
        host_.verify("sendgrid", {.target = "/api/v1/webhooks/email", .headers = headers, .body = body}, {}, now_ms, false);
    EXPECT_EQ(told.status, silent.status) << "who explains decides as who does not";
    EXPECT_TRUE(told.status == POSTERN_OK || told.status == POSTERN_E_DENIED) << told.error;
    return told;
  }
  void start_with_vector(const json& more = json::object()) { start(inbound_config({kVectorKey}, more)); }
};

TEST_F(SendgridSignatureTest, ThePublicVectorFits) {
  start_with_vector();
  const Verified verified = verify(kVectorSignature, kVectorTimestamp, kVectorBody);
  EXPECT_TRUE(verified.genuine()) << verified.error;
  EXPECT_THAT(verified.lines, Contains("public key 1: fits"));
}

TEST_F(SendgridSignatureTest, TheLineEndBehindTheBodyCounts) {
  start_with_vector();
  const std::string body = kVectorBody;
  EXPECT_FALSE(verify(kVectorSignature, kVectorTimestamp, body.substr(0, body.size() - 2)).genuine());
  EXPECT_FALSE(verify(kVectorSignature, kVectorTimestamp, body.substr(0, body.size() - 1)).genuine());
  EXPECT_FALSE(verify(kVectorSignature, kVectorTimestamp, body + "\n").genuine());
}

TEST_F(SendgridSignatureTest, EveryBitOfWhatIsSignedCounts) {
  start_with_vector();
  const std::string body = kVectorBody;
  for (size_t i = 0; i < body.size(); i += 7) {
    std::string flipped = body;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(verify(kVectorSignature, kVectorTimestamp, flipped).genuine()) << "byte " << i;
  }
  EXPECT_FALSE(verify(kVectorSignature, "1600112503", body).genuine()) << "another time, and just as fresh";
  EXPECT_FALSE(verify(kVectorSignature, "01600112502", body).genuine()) << "the text is signed, not the number";
  const std::string signature = *from_base64(kVectorSignature);
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string flipped = signature;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    EXPECT_FALSE(verify(base64(flipped), kVectorTimestamp, body).genuine()) << "byte " << i;
  }
}

// A border that could be moved would let the first digits of a body pass for a time.
TEST_F(SendgridSignatureTest, TheBorderOfTimestampAndBodyIsTheHeaders) {
  start_with_vector();
  const std::string digit = std::string(kVectorTimestamp).substr(9);
  EXPECT_FALSE(verify(kVectorSignature, std::string(kVectorTimestamp).substr(0, 9), digit + kVectorBody).genuine())
      << "it fits, but is from 1975";
}

TEST_F(SendgridSignatureTest, NothingButDerInBase64IsASignature) {
  start_with_vector();
  const std::string right = kVectorSignature, der = *from_base64(kVectorSignature);
  const std::string cases[] = {"",
                               "=",
                               "====",
                               right.substr(0, right.size() - 1),
                               right + "=",
                               right + "AAAA",
                               " " + right,
                               right.substr(0, 40) + "\t" + right.substr(40),
                               right.substr(0, 40) + "====" + right.substr(40),
                               base64(der + '\0'),
                               base64(der.substr(0, der.size() - 1)),
                               base64(std::string("\x30\x81\x45", 3) + der.substr(2)),
                               base64(std::string("\x30\x06\x02\x01\x00\x02\x01\x00", 8)),
                               base64(std::string("\x30\x06\x02\x01\x01\x02\x01\x01", 8)),
                               base64(std::string(70, '\xff')),
                               std::string(100'000, 'A')};
  for (const std::string& signature : cases)
    EXPECT_FALSE(verify(signature, kVectorTimestamp, kVectorBody).genuine()) << signature.substr(0, 120);
  EXPECT_TRUE(verify(right, kVectorTimestamp, kVectorBody).genuine());
}

TEST_F(SendgridSignatureTest, TheTimestampIsThereOnceAndIsDigits) {
  start_with_vector();
  for (const char* timestamp : {"", " 1600112502", "+1600112502", "-1600112502", "1600112502.0", "1600112502000000", "0x5f5fc776", "now"}) {
    EXPECT_FALSE(verify(kVectorSignature, timestamp, kVectorBody).genuine()) << timestamp;
  }
  const std::string name(kSendgridTimestampHeader);
  Headers headers = {{std::string(kSendgridSignatureHeader), kVectorSignature}};
  EXPECT_THAT(verify_headers(headers, kVectorBody).lines, Contains("no header " + name));
  headers.emplace_back(name, kVectorTimestamp);
  EXPECT_TRUE(verify_headers(headers, kVectorBody).genuine());
  headers.emplace_back("x-twilio-email-event-webhook-timestamp", kVectorTimestamp);
  EXPECT_THAT(verify_headers(headers, kVectorBody).lines, Contains("the header " + name + " is there more than once"));
  EXPECT_FALSE(verify_headers(headers, kVectorBody).genuine());
}

TEST_F(SendgridSignatureTest, TheSignatureIsThereOnce) {
  start_with_vector();
  const std::string name(kSendgridSignatureHeader);
  const Headers without = {{std::string(kSendgridTimestampHeader), kVectorTimestamp}};
  EXPECT_FALSE(verify_headers(without, kVectorBody).genuine());
  Headers twice = without;
  twice.insert(twice.end(), {{name, kVectorSignature}, {name, kVectorSignature}});
  EXPECT_FALSE(verify_headers(twice, kVectorBody).genuine());
}

TEST_F(SendgridSignatureTest, FiveMinutesEitherWay) {
  start_with_vector();
  const int64_t signed_at = 1'600'112'502'000, five_minutes = 300'000;
  EXPECT_TRUE(verify(kVectorSignature, kVectorTimestamp, kVectorBody, signed_at + five_minutes).genuine());
  EXPECT_FALSE(verify(kVectorSignature, kVectorTimestamp, kVectorBody, signed_at + five_minutes + 1).genuine());
  EXPECT_TRUE(verify(kVectorSignature, kVectorTimestamp, kVectorBody, signed_at - five_minutes).genuine());
  EXPECT_FALSE(verify(kVectorSignature, kVectorTimestamp, kVectorBody, signed_at - five_minutes - 1).genuine());
}

TEST_F(SendgridSignatureTest, TheToleranceIsTheConfigurations) {
  start_with_vector({{"tolerance", "24h"}});
  const int64_t signed_at = 1'600'112'502'000, day = 24 * 3'600'000;
  EXPECT_TRUE(verify(kVectorSignature, kVectorTimestamp, kVectorBody, signed_at + day).genuine());
  const Verified late = verify(kVectorSignature, kVectorTimestamp, kVectorBody, signed_at + day + 1);
  EXPECT_FALSE(late.genuine());
  EXPECT_THAT(late.lines, Contains(HasSubstr("inbound.sendgrid.tolerance")));
}

TEST_F(SendgridSignatureTest, AnyOfSeveralKeysFits) {
  const SendgridKey old_key, new_key, foreign;
  start(inbound_config({old_key.public_key(), new_key.public_key()}));
  for (const SendgridKey* key : {&old_key, &new_key}) {
    for (int i = 0; i < 20; ++i) {  // a DER integer has its leading bytes at some times only
      const std::string body = "[{\"n\":" + std::to_string(i) + "}]\r\n";
      EXPECT_TRUE(verify_headers(key->sign(kVectorTimestamp, body), body).genuine());
    }
  }
  const Verified verified = verify_headers(foreign.sign(kVectorTimestamp, "[]"), "[]");
  EXPECT_FALSE(verified.genuine());
  EXPECT_THAT(verified.lines, Contains("public key 2: does not fit"));
}

TEST_F(SendgridSignatureTest, AKeyOfAnotherKindVerifiesNothing) {
  start_with_vector();
  const SendgridKey other("secp256k1");  // of the same length
  const Headers headers = other.sign(kVectorTimestamp, "[]");
  const Verified verified =
      host_.verify("sendgrid", {.headers = headers, .body = "[]"}, std::vector<std::string>{other.public_key()}, kVectorArrival);
  EXPECT_EQ(verified.status, POSTERN_E_DENIED);
  EXPECT_THAT(verified.lines, Contains("public key 1: is no P-256 key in base64"));
}

TEST(SendgridKeyTest, OnlyP256KeysAreTaken) {
  EXPECT_EQ(smtp::fault_of_sendgrid_key(kVectorKey), std::nullopt);
  EXPECT_EQ(smtp::fault_of_sendgrid_key(SendgridKey().public_key()), std::nullopt);
  for (const char* other : {"P-384", "P-521", "secp256k1"}) {
    EXPECT_THAT(smtp::fault_of_sendgrid_key(SendgridKey(other).public_key()).value_or(""), HasSubstr("P-256")) << other;
  }
  const std::string der = *from_base64(kVectorKey);
  std::string off_curve = der;
  off_curve.back() = static_cast<char>(off_curve.back() ^ 1);
  for (const std::string& broken :
       {std::string(), std::string("key"), std::string(kVectorKey) + "\n", base64(der + "x"), base64(der.substr(1)), base64(off_curve),
        base64(der.substr(26)), SendgridKey("RSA").public_key(), std::string(10'000, 'A')}) {
    EXPECT_THAT(smtp::fault_of_sendgrid_key(broken).value_or(""), StartsWith("is no public key as SendGrid shows it"))
        << broken.substr(0, 150);
  }
  EXPECT_THAT(smtp::fault_of_sendgrid_key("-----BEGIN PUBLIC KEY-----\nMFkw").value_or(""), HasSubstr("PEM"));
}

}  // namespace
}  // namespace smtp_test
