// postern.services/1 as plugins see it: calls within calls, and how long they may take.
#include <postern/ext/client.h>

#include <chrono>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/dispatch/delivery.h"
#include "tests/support/upstream_server.h"
#include "tests/unit/dispatch/fake_store.h"
#include "tests/unit/extension/services_harness.h"

namespace postern::extension {
namespace {

using std::chrono::milliseconds;

// ---- calls within calls

// "one" publishes a/1 and wants b/1, "two" the other way round.
class ServiceCycle : public ServicesTable {
 protected:
  void start(Script a, Script b) {
    a_ = std::move(a);
    b_ = std::move(b);
    ASSERT_EQ(publish(one_, "a/1", a_), POSTERN_OK);
    ASSERT_EQ(publish(two_, "b/1", b_), POSTERN_OK);
    to_b_ = acquire(one_, "b/1");
    to_a_ = acquire(two_, "a/1");
    activate();
  }
  Script a_, b_;
  uint32_t to_a_ = 99, to_b_ = 99;
};

TEST_F(ServiceCycle, PluginsCallOneAnother) {
  start([](postern_service_call* c) { return echo(c); },
        [&](postern_service_call* c) {
          Answer inner = call(two_, to_a_, "inner");
          EXPECT_EQ(text(table().request(c)), "outer") << "the call at hand is this one again";
          return table().answer(c, str(text(table().request(c)) + "+" + inner.body));
        });
  EXPECT_EQ(call(one_, to_b_, "outer").body, "outer+inner");
}

TEST_F(ServiceCycle, ARecursionEnds) {
  size_t runs = 0;
  std::vector<std::string> errors;
  auto on = [&](postern_host& host, uint32_t& to) {
    return [this, &runs, &errors, host = &host, to = &to](postern_service_call*) {
      ++runs;
      Answer inner = call(*host, *to, "again");
      errors.push_back(inner.error);
      plugin::leave_error(inner.error);
      return inner.status;
    };
  };
  start(on(one_, to_b_), on(two_, to_a_));
  Answer answer = call(one_, to_b_, "begin");
  EXPECT_EQ(answer.status, POSTERN_E_LIMIT);
  EXPECT_EQ(runs, 8u);
  ASSERT_EQ(errors.size(), 8u);
  EXPECT_EQ(errors[0], "services call one another more than 8 deep: b/1 → a/1 → b/1 → a/1 → b/1 → a/1 → b/1 → a/1 → b/1");
  EXPECT_EQ(call(one_, to_b_, "begin").status, POSTERN_E_LIMIT) << "and the next one begins anew";
  EXPECT_EQ(runs, 16u);
}

TEST_F(ServiceCycle, AnInnerCallHasNoMoreTimeThanTheOuterOne) {
  uint64_t inner_left = 0, late_runs = 0;
  start(
      [&](postern_service_call* c) {
        inner_left = table().remaining_ms(c);
        if (text(table().request(c)) == "late") ++late_runs;
        return echo(c);
      },
      [&](postern_service_call* c) {
        EXPECT_EQ(call(two_, to_a_, "in time", 60'000).status, POSTERN_OK);
        std::this_thread::sleep_for(milliseconds(120));
        EXPECT_EQ(table().remaining_ms(c), 0u);
        EXPECT_EQ(call(two_, to_a_, "late", 60'000).status, POSTERN_E_TIMEOUT);
        return table().answer(c, str("though late"));
      });
  Answer answer = call(one_, to_b_, "", 100);
  EXPECT_LE(inner_left, 100u);
  EXPECT_EQ(late_runs, 0u);
  EXPECT_EQ(answer.status, POSTERN_OK);
  EXPECT_EQ(answer.body, "though late") << "what was done is not thrown away";
}

// ---- deadlines

TEST_F(ServicesTable, OnBehalfOfADeliveryItShouldEndBeforeThat) {
  uint64_t left = 0;
  size_t runs = 0;
  serve([&](postern_service_call* c) {
    ++runs;
    left = table().remaining_ms(c);
    return echo(c);
  });
  dispatch::testing::FakeStore store;
  auto subscriber = std::make_shared<dispatch::Subscriber>();
  auto run = [&](int64_t deadline_ms) {
    subscriber->policies.deadline = milliseconds(deadline_ms);
    return std::make_shared<dispatch::Delivery>(7, 1, std::make_shared<store::StoredEvent>(), subscriber, store, [](auto, auto) {});
  };
  postern_service_request request{};
  request.struct_size = sizeof request;
  request.service = number_;
  request.method = str("do");
  auto delivery = run(2000);
  request.delivery = reinterpret_cast<postern_delivery*>(delivery.get());
  EXPECT_EQ(call(one_, request).status, POSTERN_OK);
  EXPECT_GT(left, 1000u);
  EXPECT_LE(left, 1800u) << "a tenth is for the handler";
  delivery = run(1);
  std::this_thread::sleep_for(milliseconds(5));
  request.delivery = reinterpret_cast<postern_delivery*>(delivery.get());
  EXPECT_EQ(call(one_, request).status, POSTERN_E_TIMEOUT);
  EXPECT_EQ(runs, 1u) << "it was not begun";
}

// A service that waits for the outside does not make its caller wait longer than that has time.
TEST_F(ServicesTable, ACallToTheOutsideEndsWithIt) {
  testing::UpstreamServer upstream([](testing::Conversation& c) { c.hold(); });
  const auto& outside = *static_cast<const postern_ext_client*>(host_api().get_extension(nullptr, str(POSTERN_EXT_CLIENT)));
  client::Client client;
  std::string url = upstream.url();
  postern_upstream_desc desc{};
  desc.struct_size = sizeof desc;
  desc.name = str("api");
  desc.base_url = str(url);
  uint32_t api = 0;
  ASSERT_EQ(outside.add_upstream(&two_, &desc, &api), POSTERN_OK);
  ASSERT_TRUE(client.start());
  ASSERT_TRUE(two_.client.connect(client, "two"));
  serve([&](postern_service_call*) {
    postern_client_request request{};
    request.struct_size = sizeof request;
    request.upstream = api;
    request.url = str("/");
    auto ignore = [](postern_instance*, void*, const postern_client_response*) {};
    return outside.call(&two_, &request, ignore, nullptr);
  });
  int64_t began = steady_ms();
  EXPECT_EQ(ask("", 200).status, POSTERN_OK);
  EXPECT_LT(steady_ms() - began, 5000);
  EXPECT_TRUE(two_.client.close(5000));
}

}  // namespace
}  // namespace postern::extension
