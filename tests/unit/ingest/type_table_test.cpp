#include "core/ingest/type_table.h"

#include <gtest/gtest.h>

#include <set>

#include "core/ingest/target_table.h"

namespace postern::ingest {
namespace {

std::string label(const TypeTable& types, std::string_view provider, std::string_view type) {
  return types.name(types.match(provider, type));
}

TEST(TypeTableTest, KnowsWhatWasDeclared) {
  TypeTable types;
  types.add("acme", "order.paid");
  types.add("acme", "acme.order.sent");
  types.add("acme", "call.*");
  types.add_subscription("beta.message.*");
  EXPECT_EQ(label(types, "acme", "acme.order.paid"), "acme.order.paid");
  EXPECT_EQ(label(types, "acme", "order.paid"), "acme.order.paid") << "emitted without the plugin's name";
  EXPECT_EQ(label(types, "acme", "acme.order.sent"), "acme.order.sent");
  EXPECT_EQ(label(types, "acme", "acme.call.ended"), "acme.call.*");
  EXPECT_EQ(label(types, "beta", "beta.message.x"), "beta.message.*");
  EXPECT_EQ(label(types, "acme", "acme.order"), "other");
  EXPECT_EQ(label(types, "acme", ""), "other");
}

TEST(TypeTableTest, AHandlersGlobIsForItsOwnProvider) {
  TypeTable types;
  types.add("acme", "*");
  EXPECT_EQ(label(types, "acme", "anything"), "acme.*");
  EXPECT_EQ(label(types, "beta", "anything"), "other");
  EXPECT_EQ(label(types, "gone", "acme.x"), "other");
}

TEST(TypeTableTest, TheClosestOneNames) {
  TypeTable types;
  types.add("acme", "*");
  types.add("acme", "order.*");
  types.add("acme", "order.paid");
  types.add_subscription("acme.order.paid.*");
  EXPECT_EQ(label(types, "acme", "acme.order.paid"), "acme.order.paid");
  EXPECT_EQ(label(types, "acme", "acme.order.sent"), "acme.order.*");
  EXPECT_EQ(label(types, "acme", "acme.order.paid.twice"), "acme.order.paid.*");
  EXPECT_EQ(label(types, "acme", "acme.call"), "acme.*");
}

TEST(TypeTableTest, DeclaringTwiceMakesOneType) {
  TypeTable types;
  types.add("acme", "order.paid");
  types.add("acme", "acme.order.paid");
  types.add_subscription("acme.order.paid");
  EXPECT_EQ(types.size(), 2u);
  EXPECT_EQ(types.provider(1), "acme");
}

TEST(TypeTableTest, NoTypeThatComesInMakesAnother) {
  TypeTable types;
  types.add("acme", "order.*");
  types.add("acme", "*.paid");
  std::set<TypeTable::Id> seen;
  for (int i = 0; i < 10'000; ++i) {
    std::string n = std::to_string(i);
    for (const std::string& type : {"acme.order." + n, "acme." + n + ".paid", "acme." + n, n, "acme.*" + n, n + "\"\n\xff"}) {
      seen.insert(types.match("acme", type));
      seen.insert(types.match(n, type));
    }
  }
  EXPECT_LE(seen.size(), types.size());
  EXPECT_EQ(types.size(), 3u);
}

TEST(TypeTableTest, DeclaresABoundedNumber) {
  TypeTable types;
  for (int i = 0; i < 2'000; ++i) types.add("acme", "type." + std::to_string(i));
  EXPECT_EQ(types.size(), TypeTable::kMaxTypes);
  EXPECT_EQ(label(types, "acme", "acme.type.1"), "acme.type.1");
  EXPECT_EQ(label(types, "acme", "acme.type.1999"), "other");
}

TEST(TypeTableTest, NamesAreText) {
  TypeTable types;
  types.add("acme", "\xff*");
  EXPECT_EQ(label(types, "acme", "\xff"), "other");
}

TEST(TypeTableTest, ATargetTableDeclaresWhatIsTaken) {
  TargetTable targets;
  targets.add_handlers("acme", "handlers", {"order.*", "call"});
  targets.add_subscription("mail", "office", "acme.call.missed");
  targets.add_type("acme", "unknown");
  EXPECT_EQ(label(targets.types(), "acme", "acme.call"), "acme.call");
  EXPECT_EQ(label(targets.types(), "acme", "acme.call.missed"), "acme.call.missed");
  EXPECT_EQ(label(targets.types(), "acme", "acme.unknown"), "acme.unknown");
}

TEST(TypeTableTest, ANumberMeansTheSameAfterAReload) {
  TypeTable before;
  before.add("acme", "order.paid");
  before.add("acme", "call.*");
  TypeTable::Id call = before.match("acme", "acme.call.ended");
  TypeTable after;
  after.continue_from(before);
  after.add("beta", "thing");
  after.add("acme", "call.*");
  EXPECT_EQ(after.match("acme", "acme.call.ended"), call);
  EXPECT_EQ(label(after, "beta", "beta.thing"), "beta.thing");
  EXPECT_EQ(after.size(), before.size() + 1);
  EXPECT_EQ(label(after, "acme", "acme.order.paid"), "acme.order.paid") << "counted on, though nobody declares it";
  EXPECT_EQ(label(after, "acme", "order.paid"), "other");
}

}  // namespace
}  // namespace postern::ingest
