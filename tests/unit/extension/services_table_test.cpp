// postern.services/1 as plugins see it: two of them, and the host between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/client.h>
#include <postern/ext/services.h>

#include <functional>
#include <stdexcept>
#include <thread>

#include "core/base/clock.h"
#include "core/dispatch/delivery.h"
#include "core/extension/table.h"
#include "core/plugin/host.h"
#include "core/plugin/service_directory.h"
#include "tests/support/eventually.h"
#include "tests/support/upstream_server.h"
#include "tests/unit/dispatch/fake_store.h"

namespace postern::extension {
namespace {

using testing::eventually;
using testing::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Phase = postern_host::Phase;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(postern_str s) { return s.ptr == nullptr ? std::string() : std::string(s.ptr, s.len); }

const postern_ext_services& table() {
  return *static_cast<const postern_ext_services*>(host_api().get_extension(nullptr, str(POSTERN_EXT_SERVICES)));
}

// What a service does, written by each test.
using Script = std::function<postern_status(postern_service_call*)>;
postern_status run_script(postern_instance*, void* user, postern_service_call* call) { return (*static_cast<Script*>(user))(call); }

struct Answer {
  int times = 0;
  postern_status status = POSTERN_E_STATE, returned = POSTERN_E_STATE;
  std::string body, error;
  uint64_t retry_after_ms = 0;
};
void note(postern_instance*, void* user, const postern_service_answer* theirs) {
  auto& answer = *static_cast<Answer*>(user);
  ++answer.times;
  answer.status = theirs->status;
  answer.body = text(theirs->body);
  answer.error = text(theirs->error);
  answer.retry_after_ms = theirs->retry_after_ms;
}

postern_status echo(postern_service_call* call) { return table().answer(call, table().request(call)); }

class ServicesTable : public ::testing::Test {
 protected:
  ServicesTable() {
    one_.name = "one";
    two_.name = "two";
    one_.phase = two_.phase = Phase::kInit;
  }

  postern_status publish(postern_host& host, std::string_view name, Script& script) {
    return table().publish(&host, str(name), run_script, &script);
  }
  uint32_t acquire(postern_host& host, std::string_view name, uint32_t flags = 0) {
    uint32_t number = 99;
    EXPECT_EQ(table().acquire(&host, str(name), flags, &number), POSTERN_OK) << plugin::take_error();
    return number;
  }
  // As the gateway does after init and at activate.
  void activate() {
    for (postern_host* host : {&one_, &two_}) {
      for (const auto& service : host->registrations.services) ASSERT_TRUE(directory_.add(service));
    }
    for (postern_host* host : {&one_, &two_}) {
      for (auto& wish : host->registrations.wishes) wish.service = directory_.find(wish.name);
      for (const auto& service : host->registrations.services) service->open();
      host->phase = Phase::kActive;
    }
  }
  Answer call(postern_host& host, uint32_t service, std::string_view body = "", uint32_t deadline_ms = 0, std::string_view method = "do") {
    postern_service_request request{};
    request.struct_size = sizeof request;
    request.service = service;
    request.method = str(method);
    request.body = str(body);
    request.deadline_ms = deadline_ms;
    return call(host, request);
  }
  static Answer call(postern_host& host, const postern_service_request& request) {
    Answer answer;
    answer.returned = table().call(&host, &request, note, &answer);
    EXPECT_EQ(answer.times, 1);
    EXPECT_EQ(answer.returned, answer.status);
    return answer;
  }
  // "two" publishes s/1, and "one" has acquired it.
  void serve(Script script) {
    script_ = std::move(script);
    ASSERT_EQ(publish(two_, "s/1", script_), POSTERN_OK);
    number_ = acquire(one_, "s/1");
    activate();
  }
  Answer ask(std::string_view body = "", uint32_t deadline_ms = 0) { return call(one_, number_, body, deadline_ms); }
  uint64_t counted(std::string_view status) const {
    const plugin::Service& service = *two_.registrations.services.at(0);
    for (size_t i = 0; i < plugin::Service::kStatuses; ++i) {
      if (plugin::Service::status_name(i) == status) return service.calls(i);
    }
    return UINT64_MAX;
  }

  postern_host one_, two_;
  plugin::ServiceDirectory directory_;
  Script script_;
  uint32_t number_ = 99;
};

// ---- in init

TEST_F(ServicesTable, NamesHaveARevision) {
  Script script = echo;
  for (const char* name : {"", "mail", "/1", "mail/", "mail/0", "mail/01", "mail/x", "mail/1/2", "Mail/1", "1mail/1", "ma il/1", "mail/-1",
                           "ma\nil/1", "caf\xc3\xa9/1"}) {
    EXPECT_EQ(publish(one_, name, script), POSTERN_E_INVALID) << name;
    uint32_t number = 7;
    EXPECT_EQ(table().acquire(&one_, str(name), 0, &number), POSTERN_E_INVALID) << name;
    EXPECT_THAT(one_.registrations.refusal, HasSubstr("\"mail/1\""));
  }
  std::string longest = std::string(62, 'm') + "/1";
  EXPECT_EQ(publish(one_, longest, script), POSTERN_OK);
  EXPECT_EQ(publish(one_, "m" + longest, script), POSTERN_E_INVALID);
  EXPECT_EQ(publish(one_, "mail_to-x.y/12", script), POSTERN_OK);
  EXPECT_EQ(one_.registrations.services.size(), 2u);
  EXPECT_TRUE(one_.registrations.wishes.empty());
}

TEST_F(ServicesTable, RegistrationsAreChecked) {
  Script script = echo;
  EXPECT_EQ(publish(one_, "mail/1", script), POSTERN_OK);
  EXPECT_EQ(publish(one_, "mail/1", script), POSTERN_E_INVALID);
  EXPECT_THAT(one_.registrations.refusal, HasSubstr("before"));
  EXPECT_EQ(table().publish(&one_, str("other/1"), nullptr, nullptr), POSTERN_E_INVALID);
  uint32_t number = 7;
  EXPECT_EQ(table().acquire(&one_, str("crm/1"), 2, &number), POSTERN_E_INVALID);
  EXPECT_THAT(one_.registrations.refusal, HasSubstr("unknown flags"));
  EXPECT_EQ(table().acquire(&one_, str("crm/1"), 0, nullptr), POSTERN_E_INVALID);
  for (Phase phase : {Phase::kCreated, Phase::kReady, Phase::kActive, Phase::kDown}) {
    one_.phase = phase;
    EXPECT_EQ(publish(one_, "late/1", script), POSTERN_E_STATE);
    EXPECT_EQ(table().acquire(&one_, str("late/1"), 0, &number), POSTERN_E_STATE);
  }
}

TEST_F(ServicesTable, OneNameIsOneNumberAndRequiredWins) {
  EXPECT_EQ(acquire(one_, "a/1", POSTERN_SERVICE_OPTIONAL), 0u);
  EXPECT_EQ(acquire(one_, "b/1", POSTERN_SERVICE_OPTIONAL), 1u);
  EXPECT_EQ(acquire(one_, "a/1"), 0u);
  EXPECT_EQ(acquire(one_, "a/1", POSTERN_SERVICE_OPTIONAL), 0u);
  ASSERT_EQ(one_.registrations.wishes.size(), 2u);
  EXPECT_TRUE(one_.registrations.wishes[0].required);
  EXPECT_FALSE(one_.registrations.wishes[1].required);
}

TEST_F(ServicesTable, APluginHasAHundredOfEach) {
  Script script = echo;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(publish(one_, "s" + std::to_string(i) + "/1", script), POSTERN_OK);
    acquire(one_, "s" + std::to_string(i) + "/1");
  }
  uint32_t number = 7;
  EXPECT_EQ(publish(one_, "more/1", script), POSTERN_E_LIMIT);
  EXPECT_EQ(table().acquire(&one_, str("more/1"), 0, &number), POSTERN_E_LIMIT);
  EXPECT_EQ(acquire(one_, "s7/1"), 7u) << "known already";
}

// ---- calls

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

// ---- who is there

TEST_F(ServicesTable, AnOptionalOneMayBeMissing) {
  number_ = acquire(one_, "absent/1", POSTERN_SERVICE_OPTIONAL);
  EXPECT_EQ(ask().status, POSTERN_E_STATE) << "in init";
  activate();
  EXPECT_EQ(table().available(&one_, number_), 0);
  Answer answer = ask();
  EXPECT_EQ(answer.status, POSTERN_E_NOT_FOUND);
  EXPECT_THAT(answer.error, HasSubstr("absent/1"));
}

TEST_F(ServicesTable, IsCallableWhileBothAreActive) {
  serve(echo);
  one_.phase = Phase::kReady;
  EXPECT_EQ(ask().status, POSTERN_E_STATE);
  one_.phase = Phase::kDown;
  EXPECT_EQ(ask().status, POSTERN_E_GONE);
  one_.phase = Phase::kActive;
  two_.registrations.services[0]->close();
  two_.registrations.services[0]->open();
  Answer answer = ask();
  EXPECT_EQ(answer.status, POSTERN_E_GONE) << "for good";
  EXPECT_THAT(answer.error, HasSubstr("two"));
  EXPECT_EQ(counted("gone"), 2u);
}

TEST_F(ServicesTable, IsNotCallableBeforeItsPluginIsActive) {
  script_ = echo;
  publish(two_, "s/1", script_);
  number_ = acquire(one_, "s/1");
  one_.registrations.wishes[0].service = two_.registrations.services[0];
  one_.phase = Phase::kActive;
  EXPECT_EQ(ask().status, POSTERN_E_STATE);
}

TEST_F(ServicesTable, TheDoorWaitsForWhoIsInside) {
  std::atomic<bool> inside{false}, go{false};
  serve([&](postern_service_call* c) {
    inside = true;
    while (!go) std::this_thread::sleep_for(milliseconds(1));
    return echo(c);
  });
  plugin::Service& service = *two_.registrations.services[0];
  Answer answer;
  std::thread caller([&] { answer = ask("x"); });
  ASSERT_TRUE(eventually(milliseconds(5000), [&] { return inside.load(); }));
  service.close();
  EXPECT_FALSE(service.wait_until_empty(steady_ms() + 20));
  EXPECT_EQ(ask().status, POSTERN_E_GONE);
  go = true;
  EXPECT_TRUE(service.wait_until_empty(steady_ms() + 5000));
  caller.join();
  EXPECT_EQ(answer.body, "x") << "who was inside got the answer";
}

TEST(ServiceDirectory, TellsWhoHasTheNameAlready) {
  plugin::ServiceDirectory directory;
  auto service = [](std::string name, std::string plugin) {
    return std::make_shared<plugin::Service>(std::move(name), std::move(plugin), nullptr, nullptr, nullptr);
  };
  EXPECT_THAT(directory.explain_missing("mail/1"), HasSubstr("no plugin publishes any"));
  ASSERT_TRUE(directory.add(service("mail/2", "post")));
  ASSERT_TRUE(directory.add(service("crm/1", "contacts")));
  Status twice = directory.add(service("mail/2", "letters"));
  EXPECT_EQ(twice.message(),
            "plugin letters: the service mail/2 is published by plugin post already; only one of them can be in a configuration");
  EXPECT_EQ(directory.find("mail/1"), nullptr);
  EXPECT_EQ(directory.find("mail/2")->plugin(), "post");
  EXPECT_EQ(directory.explain_missing("mail/1"),
            "the service mail/1, which no plugin publishes; did you mean 'mail/2'?; there are: crm/1 (plugin contacts), "
            "mail/2 (plugin post)");
  EXPECT_THAT(directory.explain_missing("quite.another/1"), AllOf(HasSubstr("`plugins:`"), Not(HasSubstr("did you mean"))));
}

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

TEST_F(ServicesTable, AWellMeantErrorOfBeforeIsKept) {
  serve([](postern_service_call* c) {
    plugin::leave_error("of the service");
    return echo(c);
  });
  plugin::leave_error("the caller's own");
  EXPECT_EQ(ask().status, POSTERN_OK);
  EXPECT_EQ(plugin::take_error(), "the caller's own");
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
