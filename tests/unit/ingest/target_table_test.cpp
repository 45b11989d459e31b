#include "core/ingest/target_table.h"

#include <gmock/gmock.h>

#include <thread>

namespace postern::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> names(const Targets& targets) {
  std::vector<std::string> list;
  for (const Target& t : *targets) list.push_back(t.plugin + "/" + t.subscriber);
  return list;
}

NewEvent event(const std::string& provider, const std::string& type, const std::string& body = {}) {
  NewEvent event;
  event.provider = provider;
  event.type = type;
  event.body = body;
  return event;
}

class TargetTableTest : public ::testing::Test {
 protected:
  TargetTableTest() {
    table_.add_handlers("acme", "handlers", {"thing.*", "acme.call.ended", "thing.made"});
    table_.add_handlers("other", "handlers", {"*"});
    table_.add_subscription("mailer", "all of acme", "acme.*");
    table_.add_subscription("mailer", "made", "*.made");
  }
  std::vector<std::string> match(const std::string& provider, const std::string& type) {
    return names(table_.match(event(provider, type)));
  }
  TargetTable table_;
};

TEST_F(TargetTableTest, HandlersTakeTheirOwnProvidersEvents) {
  EXPECT_THAT(match("acme", "acme.call.ended"), ElementsAre("acme/handlers", "mailer/all of acme"));
  EXPECT_THAT(match("acme", "acme.thing.lost"), ElementsAre("acme/handlers", "mailer/all of acme"));
  EXPECT_THAT(match("acme", "acme.unknown"), ElementsAre("mailer/all of acme"));
  EXPECT_THAT(match("other", "other.anything"), ElementsAre("other/handlers"));
  EXPECT_THAT(match("third", "third.thing"), IsEmpty());
}

TEST_F(TargetTableTest, OneDeliveryHoweverManyGlobsMatch) {
  EXPECT_THAT(match("acme", "acme.thing.made"), ElementsAre("acme/handlers", "mailer/all of acme", "mailer/made"));
}

TEST_F(TargetTableTest, SubscriptionsMatchTheWholeType) {
  EXPECT_THAT(match("third", "acme.thing"), ElementsAre("mailer/all of acme"));
  table_.add_subscription("mailer", "bare", "thing.made");
  EXPECT_THAT(match("acme", "acme.thing.made"), ElementsAre("acme/handlers", "mailer/all of acme", "mailer/made"));
}

TEST_F(TargetTableTest, ASubscriptionsFilterLooksIntoTheEvent) {
  config::Condition in = {.name = "/direction", .is = {"in"}};
  table_.add_subscription("mailer", "incoming", "third.*", *Filter::make({in}));
  EXPECT_THAT(names(table_.match(event("third", "third.call", R"({"direction":"in"})"))), ElementsAre("mailer/incoming"));
  EXPECT_THAT(names(table_.match(event("third", "third.call", R"({"direction":"out"})"))), IsEmpty());
  EXPECT_THAT(names(table_.match(event("third", "fourth.call", R"({"direction":"in"})"))), IsEmpty());
}

TEST_F(TargetTableTest, EqualAnswersAreShared) {
  EXPECT_EQ(table_.match(event("acme", "acme.thing.a")), table_.match(event("acme", "acme.thing.b")));
  EXPECT_EQ(table_.match(event("third", "a")), table_.match(event("third", "b")));
  EXPECT_NE(table_.match(event("third", "a")), nullptr);
}

TEST_F(TargetTableTest, ManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) EXPECT_EQ(table_.match(event("acme", "acme.thing." + std::to_string(i)))->size(), 2u);
    });
  }
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace postern::ingest
