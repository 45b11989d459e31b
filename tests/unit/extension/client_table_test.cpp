// postern.client/1 as a plugin sees it, with a real client and an upstream behind it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/client.h>

#include <atomic>
#include <thread>

#include "core/dispatch/delivery.h"
#include "core/extension/handles.h"
#include "core/extension/table.h"
#include "core/plugin/host.h"
#include "tests/support/eventually.h"
#include "tests/support/upstream_server.h"
#include "tests/unit/dispatch/fake_store.h"

namespace postern::extension {
namespace {

using testing::Conversation;
using testing::eventually;
using testing::milliseconds;
using testing::UpstreamServer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(postern_str s) { return {s.ptr, s.len}; }

const postern_ext_client& table() {
  return *static_cast<const postern_ext_client*>(host_api().get_extension(nullptr, str(POSTERN_EXT_CLIENT)));
}

// What a callback has seen.
struct Seen {
  std::atomic<int> times{0};
  postern_status verdict = POSTERN_E_STATE;
  uint32_t kind = 99, status = 0, attempts = 0;
  uint64_t retry_after_ms = 0;
  std::string body, error, header;
};

void note(postern_instance*, void* user, const postern_client_response* r) {
  auto& seen = *static_cast<Seen*>(user);
  seen.verdict = table().verdict(r);
  seen.kind = table().kind(r);
  seen.status = table().status(r);
  seen.attempts = table().attempts(r);
  seen.retry_after_ms = table().retry_after_ms(r);
  seen.body = text(table().body(r));
  seen.error = text(table().error(r));
  postern_str name{}, value{};
  if (table().header(r, str("x-one"), 0, &value) == POSTERN_OK) seen.header = text(value);
  size_t n = 0;
  while (table().header_at(r, n, &name, &value) == POSTERN_OK) ++n;
  EXPECT_EQ(table().header(r, str("x-absent"), 0, &value), POSTERN_E_NOT_FOUND);
  ++seen.times;
}

class ClientTable : public ::testing::Test {
 protected:
  ClientTable() {
    host_.name = "p";
    host_.phase = postern_host::Phase::kInit;
  }
  ~ClientTable() override { EXPECT_TRUE(host_.client.close(5000)); }

  postern_upstream_desc desc() {
    postern_upstream_desc d{};
    d.struct_size = sizeof d;
    d.name = str("api");
    url_ = server_ ? server_->url() : "https://api.example.com";
    d.base_url = str(url_);
    d.attempts = 1;
    return d;
  }
  void serve(UpstreamServer::Script script) {
    server_ = std::make_unique<UpstreamServer>(std::move(script));
    postern_upstream_desc d = desc();
    ASSERT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_OK);
    host_.phase = postern_host::Phase::kActive;
    ASSERT_TRUE(client_.start());
    ASSERT_TRUE(host_.client.connect(client_, "p"));
  }
  postern_client_request request(std::string_view url) {
    postern_client_request r{};
    r.struct_size = sizeof r;
    r.upstream = upstream_;
    r.url = str(url);
    return r;
  }

  std::unique_ptr<UpstreamServer> server_;
  client::Client client_;
  postern_host host_;
  std::string url_;
  uint32_t upstream_ = 99;
};

TEST_F(ClientTable, UpstreamsAreAddedInInitAlone) {
  postern_upstream_desc d = desc();
  for (auto phase :
       {postern_host::Phase::kCreated, postern_host::Phase::kReady, postern_host::Phase::kActive, postern_host::Phase::kDown}) {
    host_.phase = phase;
    EXPECT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_E_STATE);
  }
  host_.phase = postern_host::Phase::kInit;
  EXPECT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_OK);
  EXPECT_EQ(upstream_, 0u);
  EXPECT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_E_INVALID);
  EXPECT_THAT(host_.registrations.refusal, HasSubstr("was added before"));
}

TEST_F(ClientTable, ZeroIsTheDefaultAndAShorterStructToo) {
  postern_upstream_desc d = desc();
  d.attempts = 0;
  d.attempt_ms = 7;
  d.struct_size = offsetof(postern_upstream_desc, attempt_ms);
  ASSERT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_OK);
  const client::Upstream& added = host_.client.upstreams().at(0);
  EXPECT_EQ(added.attempts, 3u);
  EXPECT_EQ(added.backoff.base_ms, 1000);
  EXPECT_EQ(added.attempt_ms, 10'000);
  EXPECT_EQ(added.max_response, 1u << 20);
  EXPECT_EQ(added.max_redirects, 0u);
  EXPECT_FALSE(added.any_host);
}

TEST_F(ClientTable, WhatIsWrongWithAnUpstreamIsSaid) {
  postern_upstream_desc d = desc();
  d.flags = 64;
  EXPECT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_E_INVALID);
  EXPECT_THAT(host_.registrations.refusal, HasSubstr("unknown flags"));
  d = desc();
  d.base_url = str("ftp://example.com");
  EXPECT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_E_INVALID);
  EXPECT_THAT(host_.registrations.refusal, HasSubstr("https://"));
  d.base_url = {};
  d.allow_hosts = str("a.example, , b c");
  EXPECT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_E_INVALID);
}

TEST_F(ClientTable, ACallWaitsForTheAnswer) {
  serve([](Conversation& c) { c.answer(c.request.target == "/a?b" ? 201 : 404, "body", "X-One: 1\r\n"); });
  Seen seen;
  auto r = request("/a?b");
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.times, 1);
  EXPECT_EQ(seen.verdict, POSTERN_OK);
  EXPECT_EQ(seen.kind, POSTERN_RESPONSE_OK + 0u);
  EXPECT_EQ(seen.status, 201u);
  EXPECT_EQ(seen.body, "body");
  EXPECT_EQ(seen.header, "1");
  r = request("/other");
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.verdict, POSTERN_DEAD);
  EXPECT_EQ(seen.kind, POSTERN_RESPONSE_REJECTED + 0u);
  r = request("http://169.254.169.254/latest/meta-data");
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.verdict, POSTERN_DEAD);
  EXPECT_EQ(seen.kind, POSTERN_RESPONSE_REFUSED + 0u);
}

TEST_F(ClientTable, WhatComesLaterSaysWhen) {
  serve([](Conversation& c) { c.answer(429, "", "Retry-After: 7\r\n"); });
  Seen seen;
  auto r = request("/");
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.verdict, POSTERN_RETRY);
  EXPECT_EQ(seen.retry_after_ms, 7000u);
  EXPECT_THAT(seen.error, HasSubstr("answered 429"));
}

TEST_F(ClientTable, WhatWasNotTriedCostsNoAttempt) {
  server_ = std::make_unique<UpstreamServer>([](Conversation& c) { c.answer(500); });
  postern_upstream_desc d = desc();
  d.breaker_failures = 1;
  ASSERT_EQ(table().add_upstream(&host_, &d, &upstream_), POSTERN_OK);
  host_.phase = postern_host::Phase::kActive;
  ASSERT_TRUE(client_.start());
  ASSERT_TRUE(host_.client.connect(client_, "p"));
  Seen seen;
  auto r = request("/");
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.verdict, POSTERN_RETRY) << "it was tried";
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.verdict, POSTERN_POSTPONE);
  EXPECT_EQ(seen.kind, POSTERN_RESPONSE_BREAKER_OPEN + 0u);
  EXPECT_GT(seen.retry_after_ms, 20'000u) << "until the trial";
}

TEST_F(ClientTable, ARequestIsSentWithoutWaiting) {
  serve([](Conversation& c) { c.request.target == "/hold" ? c.hold() : c.answer(200, "x"); });
  Seen seen, held;
  auto r = request("/");
  uint64_t id = 0;
  ASSERT_EQ(table().send(&host_, &r, note, &seen, nullptr), POSTERN_OK);
  EXPECT_TRUE(eventually(milliseconds(5000), [&] { return seen.times == 1; }));
  r = request("/hold");
  ASSERT_EQ(table().send(&host_, &r, note, &held, &id), POSTERN_OK);
  table().cancel(&host_, id);
  EXPECT_TRUE(eventually(milliseconds(5000), [&] { return held.times == 1; }));
  EXPECT_EQ(held.kind, POSTERN_RESPONSE_CANCELLED + 0u);
}

TEST_F(ClientTable, MisuseIsToldAndCallsNothing) {
  Seen seen;
  auto r = request("/");
  EXPECT_EQ(table().call(&host_, &r, note, &seen), POSTERN_E_STATE) << "before it is active";
  serve([](Conversation& c) { c.answer(200); });
  EXPECT_EQ(table().call(&host_, &r, note, &seen), POSTERN_E_INVALID) << "no such upstream";
  r = request("/");
  EXPECT_EQ(table().call(&host_, &r, nullptr, &seen), POSTERN_E_INVALID);
  EXPECT_EQ(table().send(&host_, &r, nullptr, &seen, nullptr), POSTERN_E_INVALID);
  postern_str one = str("lonely");
  r.headers = &one;
  r.headers_len = 1;
  EXPECT_EQ(table().send(&host_, &r, note, &seen, nullptr), POSTERN_E_INVALID);
  r.headers = nullptr;
  r.headers_len = 2;
  EXPECT_EQ(table().call(&host_, &r, note, &seen), POSTERN_E_INVALID);
  EXPECT_EQ(seen.times, 0);
}

TEST_F(ClientTable, AnUpstreamNeedsAPlaceForItsNumber) {
  postern_upstream_desc d = desc();
  EXPECT_EQ(table().add_upstream(&host_, &d, nullptr), POSTERN_E_INVALID);
  EXPECT_TRUE(host_.client.upstreams().empty());
}

TEST_F(ClientTable, AnExceptionOfACallbackEndsThere) {
  serve([](Conversation& c) { c.answer(200); });
  auto thrower = [](postern_instance*, void*, const postern_client_response*) { throw 1; };
  auto r = request("/");
  EXPECT_EQ(table().call(&host_, &r, thrower, nullptr), POSTERN_E_INTERNAL);
  EXPECT_EQ(table().send(&host_, &r, thrower, nullptr, nullptr), POSTERN_OK);
  EXPECT_TRUE(host_.client.close(5000));
}

// ---- on behalf of a delivery

class ClientForDelivery : public ClientTable {
 protected:
  void deadline(int64_t ms) { subscriber_->policies.deadline = std::chrono::milliseconds(ms); }
  // A run of delivery 7.
  std::shared_ptr<dispatch::Delivery> run() {
    return std::make_shared<dispatch::Delivery>(7, 1, std::make_shared<store::StoredEvent>(), subscriber_, store_,
                                                [](auto, auto) {});
  }
  postern_client_request request_of(dispatch::Delivery& delivery, std::string_view method, std::string_view url,
                                    std::string_view body = "") {
    auto r = request(url);
    r.method = str(method);
    r.body = str(body);
    r.delivery = reinterpret_cast<postern_delivery*>(&delivery);
    return r;
  }
  std::string key_of_last() const { return server_->requests().back().header("Idempotency-Key"); }

  dispatch::testing::FakeStore store_;
  std::shared_ptr<dispatch::Subscriber> subscriber_ = std::make_shared<dispatch::Subscriber>();
};

TEST_F(ClientForDelivery, TheKeyIsTheSameInTheNextRun) {
  serve([](Conversation& c) { c.answer(200); });
  Seen seen;
  auto ask = [&](std::string_view method, std::string_view url, std::string_view body, std::string_view key = "") {
    auto delivery = run();
    auto r = request_of(*delivery, method, url, body);
    r.idempotency_key = str(key);
    EXPECT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
    return key_of_last();
  };
  std::string first = ask("POST", "/a", "1");
  EXPECT_THAT(first, StartsWith("dlv_7-"));
  EXPECT_EQ(ask("POST", "/a", "1"), first);
  for (const auto& other : {ask("POST", "/a", "2"), ask("POST", "/b", "1"), ask("PATCH", "/a", "1")}) EXPECT_NE(other, first);
  EXPECT_EQ(ask("POST", "/a", "1", "mine"), "mine");
  EXPECT_EQ(ask("GET", "/a", ""), "");
}

TEST_F(ClientForDelivery, ItEndsBeforeTheDeliverysDeadline) {
  serve([](Conversation& c) { c.hold(); });
  deadline(1000);
  auto delivery = run();
  auto r = request_of(*delivery, "GET", "/");
  Seen seen;
  auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.kind, POSTERN_RESPONSE_TIMEOUT + 0u);
  EXPECT_EQ(seen.verdict, POSTERN_RETRY);
  auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GE(took, milliseconds(500));
  EXPECT_LT(took, milliseconds(3000));
}

TEST_F(ClientForDelivery, PastTheDeadlineNothingWaits) {
  serve([](Conversation& c) { c.hold(); });
  deadline(1);
  auto delivery = run();
  std::this_thread::sleep_for(milliseconds(5));
  auto r = request_of(*delivery, "GET", "/");
  Seen seen;
  ASSERT_EQ(table().call(&host_, &r, note, &seen), POSTERN_OK);
  EXPECT_EQ(seen.verdict, POSTERN_RETRY);
}

}  // namespace
}  // namespace postern::extension
