#include "core/base/trusted_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace postern {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kSomebody = 12345;

class TrustedPathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern-trust-XXXXXX";  // /tmp is sticky: in itself no danger
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
    std::filesystem::create_directories(root_ + "/a/b");
    file_ = root_ + "/a/b/file";
    std::ofstream(file_) << "text";
    for (const char* folder : {"", "/a", "/a/b"}) mode(root_ + folder, 0755);
    mode(file_, 0644);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  static void mode(const std::string& path, mode_t mode) { ASSERT_EQ(::chmod(path.c_str(), mode), 0); }
  static bool give_away(const std::string& path) { return ::chown(path.c_str(), kSomebody, kSomebody) == 0; }

  std::string root_, file_;
};

TEST_F(TrustedPathTest, OursAndWritableForUsAlone) {
  EXPECT_TRUE(check_trusted(file_)) << check_trusted(file_).message();
  mode(file_, 0600);
  EXPECT_TRUE(check_trusted(file_));
}

TEST_F(TrustedPathTest, AFileThatEverybodyCanWrite) {
  mode(file_, 0646);
  Status s = check_trusted(file_);
  EXPECT_EQ(s.code(), Code::kDenied);
  EXPECT_THAT(s.message(), HasSubstr("chmod o-w " + file_));
}

// Who can write a folder can put another file in the place of the one in it.
TEST_F(TrustedPathTest, AFolderAboveItThatEverybodyCanWrite) {
  mode(root_ + "/a", 0777);
  EXPECT_THAT(check_trusted(file_).message(), HasSubstr("the folder " + root_ + "/a can be changed by everybody"));
  mode(root_ + "/a", 01777);
  EXPECT_TRUE(check_trusted(file_));
}

TEST_F(TrustedPathTest, AGroupThatIsNotTheOwnersOwn) {
  if (::chown(file_.c_str(), static_cast<uid_t>(-1), kSomebody) != 0) GTEST_SKIP() << "needs root";
  EXPECT_TRUE(check_trusted(file_));
  mode(file_, 0664);
  EXPECT_THAT(check_trusted(file_).message(), HasSubstr("chmod g-w " + file_));
}

TEST_F(TrustedPathTest, WhatBelongsToSomebodyElse) {
  if (!give_away(file_)) GTEST_SKIP() << "needs root";
  EXPECT_THAT(check_trusted(file_).message(), HasSubstr("belongs to user 12345"));
  ASSERT_EQ(::chown(file_.c_str(), 0, 0), 0);
  ASSERT_TRUE(give_away(root_ + "/a/b"));
  EXPECT_THAT(check_trusted(file_).message(), HasSubstr("the folder " + root_ + "/a/b belongs to"));
}

// Both where the link is and where it leads.
TEST_F(TrustedPathTest, ASymbolicLink) {
  std::filesystem::create_directories(root_ + "/links");
  const std::string link = root_ + "/links/file";
  std::filesystem::create_symlink(file_, link);
  EXPECT_TRUE(check_trusted(link));
  mode(root_ + "/links", 0777);
  EXPECT_FALSE(check_trusted(link));
  mode(root_ + "/links", 0755);
  mode(root_ + "/a", 0777);
  EXPECT_FALSE(check_trusted(link));
}

// Ours leads to theirs, and theirs to ours: whoever has the one in the middle has the file.
TEST_F(TrustedPathTest, EachLinkOfAChain) {
  std::filesystem::create_directories(root_ + "/theirs");
  std::filesystem::create_symlink(root_ + "/a", root_ + "/theirs/current");
  std::filesystem::create_symlink(root_ + "/theirs/current/b", root_ + "/plugins");
  EXPECT_TRUE(check_trusted(root_ + "/plugins/file")) << check_trusted(root_ + "/plugins/file").message();
  mode(root_ + "/theirs", 0777);
  EXPECT_THAT(check_trusted(root_ + "/plugins/file").message(), HasSubstr("the folder " + root_ + "/theirs"));
  mode(root_ + "/theirs", 0755);
  if (::lchown((root_ + "/theirs/current").c_str(), kSomebody, kSomebody) != 0) GTEST_SKIP() << "needs root";
  EXPECT_THAT(check_trusted(root_ + "/plugins/file").message(), HasSubstr("the link " + root_ + "/theirs/current belongs to"));
}

TEST_F(TrustedPathTest, LinksInARing) {
  std::filesystem::create_symlink(root_ + "/two", root_ + "/one");
  std::filesystem::create_symlink(root_ + "/one", root_ + "/two");
  EXPECT_THAT(check_trusted(root_ + "/one").message(), HasSubstr("too many symbolic links"));
}

TEST_F(TrustedPathTest, ARelativePathWithDots) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(root_ + "/a");
  EXPECT_TRUE(check_trusted("../a/./b/file"));
  mode(file_, 0666);
  EXPECT_FALSE(check_trusted("../a/./b/file"));
  std::filesystem::current_path(before);
}

TEST_F(TrustedPathTest, WhatIsNotThereIsForWhoOpensIt) {
  EXPECT_TRUE(check_trusted(root_ + "/missing"));
  EXPECT_TRUE(check_trusted("/dev/null"));
}

}  // namespace
}  // namespace postern
