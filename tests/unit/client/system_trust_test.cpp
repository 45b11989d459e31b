#include "core/client/system_trust.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace postern::client {
namespace {

class SystemTrustTest : public ::testing::Test {
 protected:
  SystemTrustTest() {
    char name[] = "/tmp/postern-trust-XXXXXX";
    folder_ = ::mkdtemp(name);
    file_ = folder_ + "/cert.pem";
    std::ofstream(file_) << "authorities";
    absent_ = folder_ + "/absent";
  }
  ~SystemTrustTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_, file_, absent_;
};

TEST_F(SystemTrustTest, WhereLibcurlFindsItsFileNothingIsChanged) {
  SystemTrust trust = choose_trust(file_.c_str(), file_.c_str(), folder_.c_str());
  EXPECT_TRUE(trust.as_built);
}

TEST_F(SystemTrustTest, ElsewhereOpensslKnows) {
  for (const char* built_in : {absent_.c_str(), "", static_cast<const char*>(nullptr)}) {
    SystemTrust trust = choose_trust(built_in, file_.c_str(), folder_.c_str());
    EXPECT_FALSE(trust.as_built);
    EXPECT_EQ(trust.file, file_);
    EXPECT_EQ(trust.folder, folder_);
  }
}

TEST_F(SystemTrustTest, AFolderAloneIsEnough) {
  SystemTrust trust = choose_trust(absent_.c_str(), absent_.c_str(), folder_.c_str());
  EXPECT_FALSE(trust.as_built);
  EXPECT_EQ(trust.file, "");
  EXPECT_EQ(trust.folder, folder_);
}

TEST_F(SystemTrustTest, WithNoneAtAllLibcurlSaysWhatItMisses) {
  EXPECT_TRUE(choose_trust(absent_.c_str(), absent_.c_str(), absent_.c_str()).as_built);
}

}  // namespace
}  // namespace postern::client
