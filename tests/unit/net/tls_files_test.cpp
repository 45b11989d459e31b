#include "core/net/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/tls_material.h"

namespace postern::net {
namespace {

using postern::testing::TlsMaterial;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string read(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class TlsFilesTest : public ::testing::Test {
 protected:
  TlsMaterial material_;
  TlsMaterial::Authority authority_ = material_.authority("authority");
  TlsMaterial::Pair pair_ = material_.pair(authority_, "server", "DNS:A.test,DNS:*.b.test,IP:127.0.0.1,email:x@y.test");
};

TEST_F(TlsFilesTest, ReadsAChainAndItsNames) {
  std::string whole = material_.text("chain.pem", "# ours\n" + read(pair_.certificate) + "\n" + read(authority_.file));
  auto chain = load_chain(whole);
  ASSERT_TRUE(chain) << chain.status().message();
  EXPECT_EQ(chain->certificates.size(), 2u);
  EXPECT_THAT(chain->names, ElementsAre("a.test", "*.b.test"));
  EXPECT_EQ(chain->subject, "CN = server");
  EXPECT_EQ(chain->not_after - chain->not_before, 25 * 3600);
  auto key = load_key(pair_.key);
  ASSERT_TRUE(key);
  EXPECT_TRUE(belong_together(*chain, key->get()));
  auto other = load_key(material_.pair(authority_, "other", "").key);
  ASSERT_TRUE(other);
  EXPECT_FALSE(belong_together(*chain, other->get()));
}

TEST_F(TlsFilesTest, TellsWhatIsWrongWithACertificate) {
  std::string pem = read(pair_.certificate);
  EXPECT_THAT(load_chain("/nowhere/x.pem").status().message(), HasSubstr("does not exist"));
  EXPECT_THAT(load_chain(material_.folder()).status().message(), HasSubstr("is a folder"));
  EXPECT_THAT(load_chain(material_.text("empty.pem", "")).status().message(), HasSubstr("has no certificate in PEM"));
  EXPECT_THAT(load_chain(pair_.key).status().message(), HasSubstr("has no certificate in PEM"));
  EXPECT_THAT(load_chain(material_.text("cut.pem", pem.substr(0, pem.size() / 2))).status().message(), HasSubstr("is damaged"));
  std::string damaged = pem;
  damaged[damaged.size() / 2] = '!';
  EXPECT_THAT(load_chain(material_.text("bad.pem", damaged)).status().message(), HasSubstr("is damaged"));
  EXPECT_THAT(load_chain(material_.text("second.pem", pem + damaged)).status().message(), HasSubstr("is damaged"));
  std::string many;
  for (int i = 0; i < 17; ++i) many += pem;
  EXPECT_THAT(load_chain(material_.text("many.pem", many)).status().message(), HasSubstr("at most 16"));
}

TEST_F(TlsFilesTest, TellsWhatIsWrongWithAKey) {
  EXPECT_THAT(load_key("/nowhere/x.key").status().message(), HasSubstr("does not exist"));
  EXPECT_THAT(load_key(pair_.certificate).status().message(), HasSubstr("has no private key in PEM"));
  EXPECT_THAT(load_key(material_.encrypted_key("locked.key")).status().message(), HasSubstr("is encrypted"));
  ASSERT_EQ(::chmod(pair_.key.c_str(), 0644), 0);
  EXPECT_THAT(load_key(pair_.key).status().message(), HasSubstr("can be read by everybody: chmod o-r " + pair_.key));
  ASSERT_EQ(::chmod(pair_.key.c_str(), 0640), 0);
  EXPECT_TRUE(load_key(pair_.key));
  ASSERT_EQ(::chmod(pair_.key.c_str(), 0602), 0);
  EXPECT_THAT(load_key(pair_.key).status().message(), HasSubstr("can be changed by everybody"));
}

TEST_F(TlsFilesTest, TheDigestOfAuthoritiesTellsThemApart) {
  auto one = load_authorities(authority_.file), again = load_authorities(authority_.file);
  auto other = load_authorities(material_.authority("other").file);
  ASSERT_TRUE(one && again && other);
  EXPECT_EQ(one->digest, again->digest);
  EXPECT_NE(one->digest, other->digest);
}

}  // namespace
}  // namespace postern::net
