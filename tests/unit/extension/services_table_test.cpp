// postern.services/1 as plugins see it: what a call carries, and what becomes of it.
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/extension/services_harness.h"

namespace postern::extension {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ServicesTable, ACallCarriesBytesBothWays) {
  std::string seen;
  serve([&](postern_service_call* c) {
    seen = text(table().method(c)) + " for " + text(table().caller(c));
    uint64_t left = table().remaining_ms(c);
    EXPECT_GT(left, 9'000u);
    EXPECT_LE(left, 10'000u);
    return echo(c);
  });
  std::string bytes("\0\xff bytes", 8);
  EXPECT_EQ(table().available(&one_, number_), 1);
  Answer answer = call(one_, number_, bytes, 0, "messages.send");
  EXPECT_EQ(answer.status, POSTERN_OK) << answer.error;
  EXPECT_EQ(answer.body, bytes);
  EXPECT_EQ(answer.error, "");
  EXPECT_EQ(seen, "messages.send for one");
  EXPECT_EQ(counted("ok"), 1u);
}

// The service gets a copy: nothing of the one reaches the other.
TEST_F(ServicesTable, NoPointerOfTheCallerReachesTheService) {
  std::string bytes(4096, 'b');
  const char* theirs = nullptr;
  serve([&](postern_service_call* c) {
    theirs = table().request(c).ptr;
    std::string local(4096, 'a');
    postern_status status = table().answer(c, str(local));
    local.assign(4096, 'x');
    return status;
  });
  EXPECT_EQ(ask(bytes).body, std::string(4096, 'a'));
  EXPECT_NE(theirs, bytes.data());
}

TEST_F(ServicesTable, WithoutAnAnswerItIsEmptyAndTheLastOneCounts) {
  serve([](postern_service_call* c) -> postern_status {
    if (text(table().request(c)) == "silent") return POSTERN_OK;
    table().answer(c, str("the first"));
    return table().answer(c, str("the second"));
  });
  EXPECT_EQ(ask("silent").status, POSTERN_OK);
  EXPECT_EQ(ask("silent").body, "");
  EXPECT_EQ(ask("twice").body, "the second");
}

TEST_F(ServicesTable, WhatAServiceReturnsIsWhatTheCallerGets) {
  serve([](postern_service_call* c) -> postern_status {
    table().answer(c, str("not for a failure"));
    table().retry_after(c, 7000);
    plugin::leave_error("for people");
    return static_cast<postern_status>(std::stoi(text(table().request(c))));
  });
  for (postern_status status : {POSTERN_RETRY, POSTERN_DEAD, POSTERN_E_INVALID, POSTERN_E_UNSUPPORTED, POSTERN_E_STATE, POSTERN_E_TIMEOUT,
                                POSTERN_E_LIMIT, POSTERN_E_GONE, POSTERN_E_DENIED, POSTERN_E_INTERNAL, POSTERN_E_NOT_FOUND}) {
    Answer answer = ask(std::to_string(status));
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.error, "s/1 (plugin two): for people");
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(answer.retry_after_ms, status == POSTERN_RETRY ? 7000u : 0u);
    EXPECT_EQ(plugin::take_error(), "s/1 (plugin two): for people") << "what the operator reads when the caller fails for it";
  }
  for (const char* unknown : {"1", "4", "-10", "-2147483648"}) {
    Answer answer = ask(unknown);
    EXPECT_EQ(answer.status, POSTERN_E_INTERNAL);
    EXPECT_THAT(answer.error, AllOf(HasSubstr("unknown status"), HasSubstr(unknown)));
  }
  for (const char* status : {"retry", "dead", "denied", "not_found"}) EXPECT_EQ(counted(status), 1u) << status;
  EXPECT_EQ(counted("internal"), 5u);
}

TEST_F(ServicesTable, AFailureWithoutWordsStillSaysWhose) {
  serve([](postern_service_call* c) -> postern_status { return static_cast<postern_status>(std::stoi(text(table().request(c)))); });
  for (const char* status : {"2", "3", "-1"}) {
    Answer answer = ask(status);
    EXPECT_THAT(answer.error, AllOf(HasSubstr("s/1 (plugin two): "), Not(::testing::EndsWith(": "))));
    EXPECT_EQ(answer.retry_after_ms, 0u);
  }
}

// Nobody has looked what an exception says: it may be anything of the plugin's.
TEST_F(ServicesTable, AnExceptionEndsAtTheHostWithoutItsText) {
  serve([](postern_service_call* c) -> postern_status {
    if (text(table().request(c)) == "int") throw 7;
    throw std::runtime_error("password hunter2 was refused");
  });
  for (const char* what : {"exception", "int"}) {
    Answer answer = ask(what);
    EXPECT_EQ(answer.status, POSTERN_E_INTERNAL);
    EXPECT_THAT(answer.error, AllOf(HasSubstr("s/1 (plugin two)"), HasSubstr("log"), Not(HasSubstr("hunter2"))));
  }
  EXPECT_TRUE(two_.registrations.services[0]->wait_until_empty(0)) << "it counts as left";
}

TEST_F(ServicesTable, SizesAreBounded) {
  std::string largest(POSTERN_SERVICE_MAX_BYTES, 'x');
  size_t runs = 0;
  serve([&](postern_service_call* c) -> postern_status {
    ++runs;
    std::string_view what(table().request(c).ptr, 4);
    if (what == "over") table().answer(c, str(largest + "x"));  // and does not look at the status
    if (what == "mend") table().answer(c, str(largest + "x")), table().answer(c, str("smaller"));
    if (what == "echo") return echo(c);
    return POSTERN_OK;
  });
  Answer most = ask("echo" + largest.substr(4));
  EXPECT_EQ(most.status, POSTERN_OK) << most.error;
  EXPECT_EQ(most.body.size(), largest.size());
  EXPECT_EQ(runs, 1u);
  Answer more = ask(largest + "x");
  EXPECT_EQ(more.status, POSTERN_E_LIMIT);
  EXPECT_THAT(more.error, HasSubstr("1048576"));
  EXPECT_EQ(runs, 1u) << "it was not called";
  EXPECT_EQ(ask("over").status, POSTERN_E_LIMIT);
  EXPECT_EQ(ask("mend").body, "smaller");
}

TEST_F(ServicesTable, MisuseIsTold) {
  serve(echo);
  Answer none;
  postern_service_request request{};
  request.struct_size = sizeof request;
  request.service = number_;
  request.method = str("do");
  EXPECT_EQ(table().call(&one_, &request, nullptr, nullptr), POSTERN_E_INVALID);
  request.service = 5;
  EXPECT_EQ(call(one_, request).status, POSTERN_E_INVALID);
  EXPECT_EQ(table().available(&one_, 5), 0);
  for (std::string method : {std::string(), std::string(65, 'm'), std::string("a b"), std::string("a\n"), std::string("\xff")}) {
    EXPECT_EQ(call(one_, number_, "", 0, method).status, POSTERN_E_INVALID) << method;
  }
  EXPECT_EQ(table().call(&one_, nullptr, note, &none), POSTERN_E_INVALID);
  auto thrower = [](postern_instance*, void*, const postern_service_answer*) { throw 1; };
  request.service = number_;
  EXPECT_EQ(table().call(&one_, &request, thrower, nullptr), POSTERN_E_INTERNAL);
  EXPECT_EQ(ask().status, POSTERN_OK) << "and all is well afterwards";
}

// A struct of an older plugin, and of a newer one.
TEST_F(ServicesTable, AShorterRequestIsFilledWithZeros) {
  serve(echo);
  postern_service_request request{};
  request.struct_size = offsetof(postern_service_request, delivery);
  request.service = number_;
  request.method = str("do");
  request.body = str("x");
  request.delivery = reinterpret_cast<postern_delivery*>(8);
  EXPECT_EQ(call(one_, request).body, "x");
}

TEST_F(ServicesTable, AHandleThatWasKeptIsNone) {
  postern_service_call* kept = nullptr;
  serve([&](postern_service_call* c) -> postern_status {
    if (kept == nullptr) kept = c;
    std::thread([&] { EXPECT_EQ(table().answer(c, str("x")), POSTERN_E_GONE) << "another thread"; }).join();
    return kept == c ? POSTERN_OK : table().answer(kept, str("x"));
  });
  EXPECT_EQ(ask().status, POSTERN_OK);
  EXPECT_EQ(table().answer(kept, str("x")), POSTERN_E_GONE);
  EXPECT_EQ(table().retry_after(kept, 1), POSTERN_E_GONE);
  EXPECT_EQ(table().remaining_ms(kept), 0u);
  for (auto view : {table().method, table().request, table().caller}) EXPECT_EQ(view(kept).len, 0u);
  EXPECT_EQ(ask().status, POSTERN_E_GONE) << "in the next call either";
}

TEST_F(ServicesTable, AWellMeantErrorOfBeforeIsKept) {
  serve([](postern_service_call* c) {
    plugin::leave_error("of the service");
    return echo(c);
  });
  plugin::leave_error("the caller's own");
  EXPECT_EQ(ask().status, POSTERN_OK);
  EXPECT_EQ(plugin::take_error(), "the caller's own");
}

TEST_F(ServicesTable, ManyThreadsCallAtOnce) {
  serve([](postern_service_call* c) { return echo(c); });
  constexpr int kThreads = 4, kEach = 500;
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        std::string body = std::to_string(t) + ":" + std::to_string(i);
        if (ask(body).body == body) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads * kEach);
  EXPECT_EQ(counted("ok"), static_cast<uint64_t>(kThreads * kEach));
  EXPECT_TRUE(two_.registrations.services[0]->wait_until_empty(0));
}

}  // namespace
}  // namespace postern::extension
