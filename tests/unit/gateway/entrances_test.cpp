// Certificates of a configuration, and which listener gets whose after a reload.
#include "core/gateway/entrances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tls_material.h"

namespace postern::gateway {
namespace {

using postern::testing::TlsMaterial;
using ::testing::HasSubstr;

class EntrancesTest : public ::testing::Test {
 protected:
  config::Tls tls_of(const TlsMaterial::Pair& pair, int line) const {
    config::Tls tls;
    tls.identities.push_back({{pair.certificate, {line, 10}}, {pair.key, {line, 20}}});
    tls.mark = {line, 5};
    return tls;
  }
  config::Config listening(const std::vector<config::Listen>& listen) const {
    config::Config config;
    config.listen = listen;
    return config;
  }

  TlsMaterial material_;
  TlsMaterial::Authority authority_ = material_.authority("authority");
  TlsMaterial::Pair one_ = material_.pair(authority_, "one", "DNS:one.test"), two_ = material_.pair(authority_, "two", "DNS:two.test");
  std::vector<config::Fault> faults_;
};

TEST_F(EntrancesTest, LoadsWhatEachListenerShows) {
  config::Config config = listening({{"127.0.0.1:1", {}}, {"127.0.0.1:2", {}, tls_of(one_, 3)}, {"127.0.0.1:3", {}, std::nullopt, true}});
  config.admin.tls = tls_of(two_, 9);
  config.trusted_proxies = {"10.0.0.0/8"};
  Entrances made = Entrances::make(config, faults_);
  ASSERT_TRUE(faults_.empty()) << faults_[0].message;
  ASSERT_EQ(made.listeners().size(), 3u);
  EXPECT_FALSE(made.listeners()[0].tls);
  EXPECT_TRUE(made.listeners()[1].tls);
  EXPECT_TRUE(made.admin().tls);
  EXPECT_FALSE(made.listeners()[1].is_trusted_proxy);
  ASSERT_TRUE(made.listeners()[2].is_trusted_proxy);
  EXPECT_TRUE(made.listeners()[2].is_trusted_proxy("10.1.2.3"));
  EXPECT_TRUE(made.listeners()[2].is_trusted_proxy("::ffff:10.1.2.3"));
  EXPECT_FALSE(made.listeners()[2].is_trusted_proxy("192.0.2.1"));
  ASSERT_EQ(made.certificates().size(), 2u);
  EXPECT_EQ(made.certificates()[0].subject, "CN = one");
}

TEST_F(EntrancesTest, TellsEachFaultAtItsPlace) {
  config::Tls mixed = tls_of({one_.certificate, two_.key}, 3), absent = tls_of({"/nowhere.pem", one_.key}, 4);
  config::Tls without_ca = tls_of(one_, 5);
  without_ca.client_ca = {one_.key, {5, 30}};
  Entrances::make(listening({{"127.0.0.1:1", {}, mixed}, {"127.0.0.1:2", {}, absent}, {"127.0.0.1:3", {}, without_ca}}), faults_);
  ASSERT_EQ(faults_.size(), 3u);
  EXPECT_THAT(config::to_text("g.yaml", faults_[0]), HasSubstr("g.yaml:3:20: key '" + two_.key.substr(0, 20)));
  EXPECT_THAT(faults_[0].message, HasSubstr("does not belong to the certificate"));
  EXPECT_EQ(config::to_text("g.yaml", faults_[1]), "g.yaml:4:10: certificate '/nowhere.pem' does not exist");
  EXPECT_THAT(config::to_text("g.yaml", faults_[2]), HasSubstr("g.yaml:5:30: client_ca"));
}

TEST_F(EntrancesTest, AReloadGoesByAddress) {
  const std::vector<config::Listen> started{
      {"127.0.0.1:0", {}}, {"127.0.0.1:0", {}, tls_of(one_, 2)}, {"127.0.0.1:7", {}, tls_of(one_, 3)}};
  Entrances before = Entrances::make(listening(started), faults_);
  auto held = factories_for(started, started, before, std::vector<net::StreamFactory>(3));
  EXPECT_EQ(held[0].tls, nullptr);
  EXPECT_EQ(held[1].tls, before.listeners()[1].tls);
  EXPECT_EQ(held[2].tls, before.listeners()[2].tls);
  // A new one in front, and the last is gone.
  const std::vector<config::Listen> now{{"127.0.0.1:9", {}, tls_of(two_, 1)}, {"127.0.0.1:0", {}}, {"127.0.0.1:0", {}, tls_of(two_, 2)}};
  Entrances after = Entrances::make(listening(now), faults_, &before);
  ASSERT_TRUE(faults_.empty());
  auto next = factories_for(started, now, after, held);
  ASSERT_EQ(next.size(), 3u);
  EXPECT_EQ(next[0].tls, nullptr);
  EXPECT_EQ(next[1].tls, after.listeners()[2].tls);
  EXPECT_EQ(next[2].tls, before.listeners()[2].tls) << "it goes on with what it had";
}

TEST(CertificateWarning, OfWhatHasEndedOrSoonWill) {
  ShownCertificate certificate{"f", "s", {}, 1'000'000, 10'000'000};
  EXPECT_THAT(warning_of(certificate, 999'999), HasSubstr("not valid before 1970-01-12"));
  EXPECT_EQ(warning_of(certificate, 1'000'000), "");
  EXPECT_THAT(warning_of(certificate, 10'000'000 - 21 * 24 * 3600), HasSubstr("expires soon: 1970-04-26"));
  EXPECT_THAT(warning_of(certificate, 10'000'000), HasSubstr("has expired"));
}

}  // namespace
}  // namespace postern::gateway
