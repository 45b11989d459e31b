#include "core/net/resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace postern::net {
namespace {

using Poco::Net::IPAddress;

// What resolve() tells, however late.
Result<Addresses> resolved(Resolver& resolver, const std::string& host, uint16_t port = 80) {
  std::promise<Result<Addresses>> done;
  resolver.resolve(host, port, [&](const Result<Addresses>& addresses) { done.set_value(addresses); });
  auto future = done.get_future();
  if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) throw std::runtime_error("no answer");
  return future.get();
}

TEST(Resolver, TellsNumericAddressesAtOnce) {
  Resolver resolver([](const std::string&, uint16_t) -> Result<Addresses> { return Status(Code::kInternal, "nobody was to be asked"); });
  for (const char* host : {"127.0.0.1", "::1"}) {
    bool told = false;
    resolver.resolve(host, 8443, [&](const Result<Addresses>& addresses) {
      told = true;
      ASSERT_TRUE(addresses);
      EXPECT_EQ((*addresses)[0], Poco::Net::SocketAddress(IPAddress(host), 8443));
    });
    EXPECT_TRUE(told) << "within the call";
  }
}

TEST(Resolver, AsksTheSystem) {
  Resolver resolver;
  auto found = resolved(resolver, "localhost");
  ASSERT_TRUE(found) << found.status().message();
  EXPECT_TRUE(found->front().host().isLoopback());
  EXPECT_EQ(resolved(resolver, "no-such-name.invalid").status().code(), Code::kUnavailable);
}

TEST(Resolver, AsksOnceForManyWhoWait) {
  std::atomic<int> asked{0};
  std::promise<void> go;
  auto gate = go.get_future().share();
  Resolver resolver([&](const std::string&, uint16_t port) -> Result<Addresses> {
    ++asked;
    gate.wait();
    return Addresses{{IPAddress("192.0.2.1"), port}};
  });
  std::atomic<int> told{0};
  std::promise<void> all;
  for (int i = 0; i < 100; ++i) {
    resolver.resolve("a.test", 80, [&](const Result<Addresses>& addresses) {
      EXPECT_TRUE(addresses);
      if (++told == 100) all.set_value();
    });
  }
  go.set_value();
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_TRUE(resolved(resolver, "a.test")) << "it is known";
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(resolved(resolver, "a.test", 81));
  EXPECT_EQ(asked, 2) << "another port";
}

TEST(Resolver, TakesNoMoreThanSoMany) {
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::atomic<int> refused{0};
  {
    Resolver resolver([&](const std::string&, uint16_t) -> Result<Addresses> {
      gate.wait();
      return Addresses{{IPAddress("192.0.2.1"), 80}};
    });
    for (size_t i = 0; i < Resolver::kMaxWaiting + 10; ++i) {
      resolver.resolve("host" + std::to_string(i) + ".test", 80, [&](const Result<Addresses>& addresses) {
        if (!addresses && addresses.status().code() == Code::kLimit) ++refused;
      });
    }
    EXPECT_EQ(refused, 10);
    go.set_value();
  }
}

TEST(Resolver, TellsThoseWhoWaitWhenItEnds) {
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::atomic<int> told{0};
  std::promise<void> begun;
  auto resolver = std::make_unique<Resolver>([&](const std::string& host, uint16_t) -> Result<Addresses> {
    if (host == "0.test") begun.set_value();
    gate.wait();
    return Addresses{{IPAddress("192.0.2.1"), 80}};
  });
  for (int i = 0; i < 10; ++i) resolver->resolve(std::to_string(i) + ".test", 80, [&](const Result<Addresses>&) { ++told; });
  begun.get_future().wait();
  std::thread ender([&] { resolver.reset(); });
  go.set_value();
  ender.join();
  EXPECT_EQ(told, 10);
}

}  // namespace
}  // namespace postern::net
