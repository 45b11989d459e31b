// The fake host's own rules, which plugins' tests lean on: plugins without the wrapper, against the C ABI, some of them
// breaking it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "postern/ext/http.h"
#include "postern/ext/routes.h"
#include "postern/testing/fake_host.h"

extern "C" const postern_plugin_entry postern_testing_c_plugin;

namespace {

using postern::testing::FakeHost;
using postern::testing::Replied;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A plugin with one reply route, "/r", whose handler each test writes for itself.
using Handler = std::function<postern_status(const postern_request*, postern_reply*)>;
const postern_ext_http* http = nullptr;
const postern_host_api* the_api = nullptr;
postern_host* the_host = nullptr;
Handler* the_handler = nullptr;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }

postern_status on_request(postern_instance*, void*, const postern_request* request, postern_reply* reply) {
  return (*the_handler)(request, reply);
}

postern_status raw_init(postern_instance*, postern_str) {
  http = static_cast<const postern_ext_http*>(the_api->get_extension(the_host, str(POSTERN_EXT_HTTP)));
  auto* routes = static_cast<const postern_ext_routes*>(the_api->get_extension(the_host, str(POSTERN_EXT_ROUTES)));
  postern_route_desc desc{};
  desc.struct_size = sizeof desc;
  desc.kind = POSTERN_ROUTE_REPLY;
  desc.method = str("POST");
  desc.path = str("/r");
  desc.flags = POSTERN_ROUTE_UNSIGNED;
  desc.reply = &on_request;
  return routes->add(the_host, &desc);
}

constexpr postern_plugin kRaw = {sizeof(postern_plugin),
                                 0,
                                 &raw_init,
                                 [](postern_instance*) -> postern_status { return POSTERN_OK; },
                                 [](postern_instance*, uint32_t) {},
                                 [](postern_instance*) {},
                                 nullptr};

postern_status raw_create(const postern_host_api* api, postern_host* host, const postern_plugin** plugin,
                          postern_instance** instance) {
  the_api = api;
  the_host = host;
  *plugin = &kRaw;
  *instance = reinterpret_cast<postern_instance*>(the_handler);
  return POSTERN_OK;
}

constexpr postern_plugin_entry kRawEntry = {sizeof(postern_plugin_entry), POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR, 0, {"raw", 3},
                                            {"1", 1},                     {"", 0},           nullptr,           0, &raw_create};

postern_status send(postern_reply* reply) { return http->send(reply, 200, nullptr, 0, str("ok")); }

class BrokenReply : public ::testing::Test {
 protected:
  Replied ask(Handler handler) {
    handler_ = std::move(handler);
    return host_->reply({.target = "/r"});
  }
  void SetUp() override {
    the_handler = &handler_;
    host_ = std::make_unique<FakeHost>(kRawEntry);
    ASSERT_TRUE(host_->start("{}").ok());
  }
  void expect_misuse(const char* what) { EXPECT_THAT(host_->misuses(), ElementsAre(HasSubstr(what))); }

  Handler handler_;
  std::unique_ptr<FakeHost> host_;
};

TEST_F(BrokenReply, TheRulesKept) {
  Replied replied = ask([](const postern_request*, postern_reply* reply) { return send(reply); });
  EXPECT_EQ(replied.body, "ok");
  EXPECT_THAT(host_->misuses(), IsEmpty());
}

TEST_F(BrokenReply, SentTwice) {
  Replied replied = ask([](const postern_request*, postern_reply* reply) {
    EXPECT_EQ(send(reply), POSTERN_OK);
    EXPECT_EQ(http->send(reply, 500, nullptr, 0, {}), POSTERN_E_GONE);
    return POSTERN_OK;
  });
  EXPECT_EQ(replied.status, 200u);
  expect_misuse("send() on a reply after send()");
}

TEST_F(BrokenReply, SentTwiceAfterTheDeadline) {
  postern_reply* kept = nullptr;
  Replied replied = ask([&](const postern_request*, postern_reply* reply) {
    kept = reply;
    EXPECT_EQ(http->detach(reply), POSTERN_OK);
    return POSTERN_PENDING;
  });
  host_->expire_reply(replied.reply);
  EXPECT_EQ(send(kept), POSTERN_E_GONE);
  EXPECT_THAT(host_->misuses(), IsEmpty());
  EXPECT_EQ(send(kept), POSTERN_E_GONE);
  expect_misuse("send() on a reply after send()");
}

TEST_F(BrokenReply, UsedAfterItWasDropped) {
  postern_reply* kept = nullptr;
  const postern_request* view = nullptr;
  Replied replied = ask([&](const postern_request* request, postern_reply* reply) {
    kept = reply;
    view = request;
    EXPECT_EQ(http->detach(reply), POSTERN_OK);
    return POSTERN_PENDING;
  });
  http->drop(kept);
  EXPECT_EQ(send(kept), POSTERN_E_GONE);
  http->drop(kept);
  EXPECT_EQ(http->detach(kept), POSTERN_E_GONE);
  EXPECT_EQ(http->method(view).len, 4u);
  EXPECT_EQ(host_->await_reply(replied.reply).status, 500u);
  EXPECT_THAT(host_->misuses(), ElementsAre(HasSubstr("send() on"), HasSubstr("drop() on"), HasSubstr("detach() on"),
                                            HasSubstr("a view of the request after drop()")));
}

TEST_F(BrokenReply, UsedAfterTheHandlerReturned) {
  postern_reply* kept = nullptr;
  const postern_request* view = nullptr;
  ask([&](const postern_request* request, postern_reply* reply) {
    kept = reply;
    view = request;
    EXPECT_EQ(http->target(request).len, 2u);
    return POSTERN_E_INTERNAL;
  });
  EXPECT_THAT(host_->misuses(), IsEmpty());
  EXPECT_EQ(send(kept), POSTERN_E_GONE);
  EXPECT_EQ(http->target(view).len, 2u);
  EXPECT_THAT(host_->misuses(), ElementsAre(HasSubstr("its handler returned"), HasSubstr("after the reply handler")));
}

TEST_F(BrokenReply, OkWithoutAnAnswer) {
  Replied replied = ask([](const postern_request*, postern_reply*) { return POSTERN_OK; });
  EXPECT_EQ(replied.status, 500u);
  EXPECT_FALSE(replied.sent);
  expect_misuse("POSTERN_OK without an answer");
}

TEST_F(BrokenReply, PendingWithoutDetach) {
  EXPECT_EQ(ask([](const postern_request*, postern_reply*) { return POSTERN_PENDING; }).status, 500u);
  expect_misuse("POSTERN_PENDING without detach()");
}

TEST_F(BrokenReply, DetachedButNotPending) {
  postern_reply* kept = nullptr;
  Replied replied = ask([&](const postern_request*, postern_reply* reply) {
    kept = reply;
    return http->detach(reply);
  });
  EXPECT_EQ(replied.status, 0u);
  expect_misuse("not POSTERN_PENDING");
  EXPECT_EQ(send(kept), POSTERN_OK);
  EXPECT_EQ(host_->await_reply(replied.reply).body, "ok");
}

TEST_F(BrokenReply, DetachedTwice) {
  ask([](const postern_request*, postern_reply* reply) {
    EXPECT_EQ(http->detach(reply), POSTERN_OK);
    EXPECT_EQ(http->detach(reply), POSTERN_E_STATE);
    http->drop(reply);
    return POSTERN_PENDING;
  });
  expect_misuse("detach() on a reply that is detached");
}

TEST_F(BrokenReply, AnsweredAndFailed) {
  Replied replied = ask([](const postern_request*, postern_reply* reply) {
    send(reply);
    return POSTERN_E_INTERNAL;
  });
  EXPECT_EQ(replied.status, 200u);
  expect_misuse("an answer was sent");
}

TEST_F(BrokenReply, DroppedWithoutDetach) {
  Replied replied = ask([](const postern_request*, postern_reply* reply) {
    http->drop(reply);
    return send(reply);
  });
  EXPECT_EQ(replied.status, 200u);
  expect_misuse("drop() on a reply that is not detached");
}

TEST_F(BrokenReply, SentOnAnotherThreadWithoutDetach) {
  ask([](const postern_request*, postern_reply* reply) {
    std::thread([&] { send(reply); }).join();
    return POSTERN_OK;
  });
  expect_misuse("on another thread without detach()");
}

TEST_F(BrokenReply, ABrokenListOfHeaders) {
  ask([](const postern_request*, postern_reply* reply) {
    postern_str headers[] = {str("a"), str("b"), str("c")};
    EXPECT_EQ(http->send(reply, 200, headers, 3, {}), POSTERN_E_INVALID);
    EXPECT_EQ(http->send(reply, 200, nullptr, 2, {}), POSTERN_E_INVALID);
    return http->send(reply, 200, headers, 2, {});
  });
  EXPECT_THAT(host_->misuses(), IsEmpty());
}

TEST_F(BrokenReply, UnknownRepliesAreNotFound) {
  EXPECT_EQ(host_->await_reply(1).returned, POSTERN_E_NOT_FOUND);
  host_->expire_reply(1);
}

TEST(FakeHostRules, APluginInPlainC) {
  FakeHost host(postern_testing_c_plugin, {.public_url = "https://h"});
  auto started = host.start("{}");
  ASSERT_TRUE(started.ok()) << started.error;
  EXPECT_TRUE(host.deliver({.type = "any"}).done());
  EXPECT_TRUE(host.deliver({.type = "any"}).done());
  EXPECT_EQ(host.record("seen", "last")->version, 2u);
  EXPECT_EQ(host.reply({.target = "/c/now"}).body, "https://h/c/now");
  Replied later = host.reply({.target = "/c/later"});
  EXPECT_TRUE(later.detached);
  EXPECT_EQ(later.body, "https://h/c/later");
  EXPECT_EQ(later.header("content-type"), "text/plain");
  auto made = host.sign("c", {});
  ASSERT_TRUE(made.ok());
  auto verified = host.verify("c", {.headers = made.headers});
  EXPECT_TRUE(verified.genuine());
  EXPECT_THAT(verified.lines, ElementsAre("compared the key"));
  EXPECT_EQ(host.verify("c", {.headers = {{"x-c", "wrong"}}}).status, POSTERN_E_DENIED);
  EXPECT_EQ(host.call_service("c/1", "any", "bytes").body, "bytes");
  EXPECT_THAT(host.misuses(), IsEmpty());
}

}  // namespace
