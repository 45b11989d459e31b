#include <gmock/gmock.h>
#include <stdlib.h>

#include "tests/unit/client/client_harness.h"

namespace postern::client {
namespace {

class TlsTest : public ClientTest {
 protected:
  TlsTest() {
    char name[] = "/tmp/postern-tls-XXXXXX";
    folder_ = ::mkdtemp(name);
    files_ = testing::TestCertificates::make(folder_, "api.test");
    server_ = std::make_unique<UpstreamServer>([](Conversation& c) { c.answer(200, "secure"); }, &files_);
    Client::Options options;
    std::string port = std::to_string(server_->port());
    options.pins = {"api.test:" + port + ":127.0.0.1", "other.test:" + port + ":127.0.0.1"};
    start(options);
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  Upstream named(const std::string& host) const {
    Upstream upstream = quick();
    upstream.base_url = "https://" + host + ":" + std::to_string(server_->port());
    upstream.ca_file = files_.ca_file;
    upstream.attempts = 1;
    // The first handshake reads all that the system trusts, which takes seconds under a sanitizer.
    upstream.connect_ms = upstream.attempt_ms = upstream.deadline_ms = 30'000;
    return upstream;
  }

  std::string folder_;
  testing::TestCertificates files_;
};

TEST_F(TlsTest, ACertificateOfTheGivenAuthorityIsTrusted) {
  auto api = add(named("api.test"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(api).body, "secure");
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(TlsTest, AnotherAuthorityIsNot) {
  Upstream upstream = named("api.test");
  upstream.ca_file.clear();
  Outcome answer = get(add(upstream));
  EXPECT_EQ(answer.kind, Kind::kConnect);
  EXPECT_THAT(answer.error, ::testing::HasSubstr("certificate"));
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(TlsTest, ACertificateForAnotherNameIsNot) {
  EXPECT_EQ(get(add(named("other.test"))).kind, Kind::kConnect);
  EXPECT_TRUE(server_->requests().empty());
}

// One that is trusted by one upstream's authority is not by another's, although a connection is in the pool.
TEST_F(TlsTest, ThePoolKeepsAuthoritiesApart) {
  EXPECT_EQ(get(add(named("api.test"))).kind, Kind::kOk);
  Upstream other = named("api.test");
  other.ca_file.clear();
  EXPECT_EQ(get(add(other)).kind, Kind::kConnect);
}

TEST_F(TlsTest, AMissingFileIsSaid) {
  Upstream upstream = named("api.test");
  upstream.ca_file = folder_ + "/absent.pem";
  Outcome answer = get(add(upstream));
  EXPECT_EQ(answer.kind, Kind::kConnect);
  EXPECT_THAT(answer.error, ::testing::HasSubstr("absent.pem"));
}

TEST_F(TlsTest, TheSchemeIsWhatIsSpoken) {
  Upstream upstream = named("api.test");
  upstream.base_url = "https://127.0.0.1:" + std::to_string(server_->port());
  EXPECT_EQ(get(add(upstream)).kind, Kind::kOk) << "the address is in the certificate";
  upstream.base_url = "http://127.0.0.1:" + std::to_string(server_->port());
  EXPECT_NE(get(add(upstream)).kind, Kind::kOk);
}

}  // namespace
}  // namespace postern::client
