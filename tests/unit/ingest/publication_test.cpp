// What a plugin publishes, as an event.
#include <gmock/gmock.h>

#include "core/ingest/identify.h"

namespace postern::ingest {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

NewEvent event(Publication publication, const std::string& plugin = "acme") {
  auto found = identify(plugin, std::move(publication));
  EXPECT_TRUE(found) << found.status().message();
  return found ? std::move(*found) : NewEvent();
}
Status refusal(Publication publication) {
  auto found = identify("acme", std::move(publication));
  return found ? Status::ok() : found.status();
}

TEST(PublicationTest, IsTakenAsItIs) {
  const NewEvent e = event({"voice.call.completed", R"({"a":1})", "key", "id"});
  EXPECT_EQ(e.provider, "acme");
  EXPECT_EQ(e.type, "voice.call.completed");
  EXPECT_EQ(e.body, R"({"a":1})");
  EXPECT_EQ(e.order_key, "key");
  EXPECT_EQ(e.external_id, "id");
  EXPECT_EQ(e.method + e.target + e.headers + e.remote, "");
  EXPECT_EQ(e.depth, 0u);
}

TEST(PublicationTest, IsTheSameByPluginAndIdAlone) {
  const DedupeKey key = event({"t", "1", "k", "id"}).dedupe_key;
  EXPECT_EQ(event({"u", "2", "l", "id"}).dedupe_key, key);
  EXPECT_NE(event({"t", "1", "k", "other"}).dedupe_key, key);
  EXPECT_NE(event({"t", "1", "k", "id"}, "other").dedupe_key, key);
}

TEST(PublicationTest, IsHeldToBounds) {
  EXPECT_EQ(refusal({"", "1", "", ""}).code(), Code::kInvalid);
  EXPECT_THAT(refusal({std::string(201, 't'), "1", "", ""}).message(), HasSubstr("1 to 200 bytes"));
  EXPECT_THAT(refusal({"a\nb", "1", "", ""}).message(), HasSubstr("one line"));
  EXPECT_THAT(refusal({"a\xff", "1", "", ""}).message(), HasSubstr("UTF-8"));
  for (const char* body : {"", "{", "{} {}", "secret"}) {
    EXPECT_THAT(refusal({"t", body, "", ""}).message(), ::testing::AllOf(HasSubstr("must be JSON"), Not(HasSubstr("secret"))));
  }
  for (const std::string& bad : {std::string(1025, 'k'), std::string("a\rb"), std::string("\xc3")}) {
    EXPECT_EQ(refusal({"t", "1", bad, ""}).code(), Code::kInvalid);
    EXPECT_EQ(refusal({"t", "1", "", bad}).code(), Code::kInvalid);
  }
  EXPECT_TRUE(refusal({std::string(200, 't'), "1", std::string(1024, 'k'), std::string(1024, 'i')}));
}

TEST(PublicationTest, IsAtMostFourMiB) {
  const std::string most = "\"" + std::string(kMaxPublishedBytes - 3, 'x') + "\"";
  EXPECT_TRUE(refusal({"t", most, "", ""}));
  EXPECT_EQ(refusal({"tt", most, "", ""}).code(), Code::kLimit);
}

}  // namespace
}  // namespace postern::ingest
