// Event routes and reply routes: which descriptions make sense, and what becomes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/http.h>
#include <postern/ext/routes.h>

#include <stdexcept>

#include "core/extension/table.h"
#include "core/plugin/host.h"

namespace postern::extension {
namespace {

using ingest::Reply;
using ingest::Route;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }

const postern_ext_http& http_table() {
  return *static_cast<const postern_ext_http*>(host_api().get_extension(nullptr, str(POSTERN_EXT_HTTP)));
}

using Handler = std::function<postern_status(const postern_request*, postern_reply*)>;

postern_status handle(postern_instance*, void* user, const postern_request* request, postern_reply* reply) {
  return (*static_cast<Handler*>(user))(request, reply);
}

class RouteKinds : public ::testing::Test {
 protected:
  RouteKinds() {
    host_.name = "p";
    host_.phase = postern_host::Phase::kInit;
  }
  postern_route_desc reply_desc() {
    postern_route_desc d{};
    d.struct_size = sizeof d;
    d.kind = POSTERN_ROUTE_REPLY;
    d.method = str("POST");
    d.path = str("/call");
    d.flags = POSTERN_ROUTE_UNSIGNED;
    d.reply = handle;
    d.user = &handler_;
    return d;
  }
  postern_status add(const postern_route_desc& d) {
    const auto& routes = *static_cast<const postern_ext_routes*>(host_api().get_extension(nullptr, str(POSTERN_EXT_ROUTES)));
    return routes.add(&host_, &d);
  }
  void expect_refused(const postern_route_desc& d, const std::string& why) {
    EXPECT_EQ(add(d), POSTERN_E_INVALID);
    EXPECT_EQ(host_.registrations.refusal, "route /call: " + why);
    EXPECT_TRUE(host_.registrations.routes.empty());
  }
  const Route& added(const postern_route_desc& d) {
    EXPECT_EQ(add(d), POSTERN_OK) << host_.registrations.refusal;
    return host_.registrations.routes.back();
  }
  // Runs the route's handler as a thread of the plugin does; how the reply ended, or "open".
  std::string run(const Route& route) {
    std::string end = "open";
    Reply::Asked asked;
    asked.request = http::Request::from_parts("POST", "/call", "", "body");
    asked.path = {{"id", "7"}};
    auto reply = std::make_shared<Reply>(std::move(asked),
                                         [&](Reply::End e) { end = e.response ? "answered " + e.response->body : e.why; });
    route.reply(reply);
    static_cast<void>(reply->expire());
    return end;
  }

  Handler handler_ = [](const postern_request*, postern_reply*) { return POSTERN_OK; };
  postern_host host_;
};

TEST_F(RouteKinds, AReplyRouteNeedsAHandler) {
  auto d = reply_desc();
  d.reply = nullptr;
  expect_refused(d, "a reply route needs a reply handler");
  d = reply_desc();
  d.struct_size = offsetof(postern_route_desc, reply);
  expect_refused(d, "a reply route needs a reply handler");
}

TEST_F(RouteKinds, AnEventRouteHasNothingOfAReplyRoute) {
  const std::string why = "an event route has no reply handler and no deadline";
  auto d = reply_desc();
  d.kind = POSTERN_ROUTE_EVENT;
  expect_refused(d, why);
  d.reply = nullptr;
  d.flags |= POSTERN_ROUTE_RECORDED;
  expect_refused(d, why);
  d.flags = POSTERN_ROUTE_UNSIGNED;
  d.deadline_ms = 1;
  expect_refused(d, why);
  d.deadline_ms = 0;
  EXPECT_EQ(add(d), POSTERN_OK);
}

TEST_F(RouteKinds, AReplyRouteHasADeadlineAndNoWait) {
  auto d = reply_desc();
  d.wait_ms = 1;
  expect_refused(d, "a reply route has deadline_ms, not wait_ms");
}

TEST_F(RouteKinds, AWebsocketRouteIsAskedByGetAndIsNoEvent) {
  auto d = reply_desc();
  d.kind = POSTERN_ROUTE_WEBSOCKET;
  expect_refused(d, "a WebSocket begins with GET");
  d.method = str("GET");
  d.flags |= POSTERN_ROUTE_RECORDED;
  expect_refused(d, "a WebSocket's request is no event");
  d.flags = POSTERN_ROUTE_UNSIGNED;
  EXPECT_EQ(added(d).kind, Route::Kind::kWebsocket);
}

TEST_F(RouteKinds, ThereAreThree) {
  for (uint32_t kind : {0u, 4u, UINT32_MAX}) {
    auto d = reply_desc();
    d.kind = kind;
    expect_refused(d, "unknown kind of route " + std::to_string(kind));
  }
}

TEST_F(RouteKinds, AReplyRouteIsWhatItWasDescribedAs) {
  const Route plain = added(reply_desc());
  EXPECT_EQ(plain.kind, Route::Kind::kReply);
  EXPECT_EQ(plain.provider, "p");
  EXPECT_EQ(plain.deadline_ms, 10'000) << "the host's default";
  EXPECT_FALSE(plain.recorded);
  EXPECT_FALSE(plain.stores());
  host_.registrations.routes.clear();
  auto d = reply_desc();
  d.deadline_ms = 2'500;
  d.flags |= POSTERN_ROUTE_RECORDED;
  d.required = str("form:Sid");
  const Route recorded = added(d);
  EXPECT_EQ(recorded.deadline_ms, 2'500);
  EXPECT_TRUE(recorded.recorded);
  EXPECT_TRUE(recorded.stores());
  EXPECT_TRUE(recorded.needs_form());
  EXPECT_FALSE(recorded.needs_json());
}

TEST_F(RouteKinds, AnEventRouteStoresItsEvents) {
  auto d = reply_desc();
  d.kind = POSTERN_ROUTE_EVENT;
  d.reply = nullptr;
  d.wait_ms = 5'000;
  d.type_from = str("json:/type|form:Type");
  const Route& route = added(d);
  EXPECT_EQ(route.kind, Route::Kind::kEvent);
  EXPECT_TRUE(route.stores());
  EXPECT_EQ(route.wait_ms, 5'000);
  EXPECT_FALSE(route.reply);
  EXPECT_TRUE(route.needs_json() && route.needs_form());
}

// ---- the handler

TEST_F(RouteKinds, AHandlerAnswers) {
  const Route& route = added(reply_desc());
  handler_ = [](const postern_request* request, postern_reply* reply) {
    postern_str id{};
    EXPECT_EQ(http_table().path_parameter(request, str("id"), &id), POSTERN_OK);
    return http_table().send(reply, 200, nullptr, 0, id);
  };
  EXPECT_EQ(run(route), "answered 7");
}

TEST_F(RouteKinds, AHandlerThatFailsIsToldByItsOwnWords) {
  const Route& route = added(reply_desc());
  handler_ = [this](const postern_request*, postern_reply*) {
    host_api().set_error(&host_, str("the account is closed"));
    return POSTERN_E_DENIED;
  };
  EXPECT_EQ(run(route), "the account is closed");
  handler_ = [](const postern_request*, postern_reply*) { return POSTERN_E_TIMEOUT; };
  EXPECT_EQ(run(route), "timed out (status -4)") << "and not by those of another";
  handler_ = [](const postern_request*, postern_reply*) { return 4711; };
  EXPECT_EQ(run(route), "the plugin returned the unknown status 4711");
  handler_ = [](const postern_request*, postern_reply*) -> postern_status { throw std::runtime_error("index 7 of 3"); };
  EXPECT_EQ(run(route), "exception: index 7 of 3");
  handler_ = [](const postern_request*, postern_reply*) -> postern_status { throw 7; };
  EXPECT_EQ(run(route), "exception of an unknown type");
  handler_ = [](const postern_request*, postern_reply*) { return POSTERN_OK; };
  EXPECT_EQ(run(route), "the handler returned without an answer");
  handler_ = [](const postern_request*, postern_reply*) { return POSTERN_PENDING; };
  EXPECT_EQ(run(route), "the handler returned pending without detach()");
}

// A handle that the host forgot to take back would keep the request for ever.
TEST_F(RouteKinds, AHandlerKeepsNothingButWhatItDetached) {
  const Route& route = added(reply_desc());
  for (bool detaches : {false, true}) {
    postern_reply* handle = nullptr;
    handler_ = [&](const postern_request*, postern_reply* reply) -> postern_status {
      handle = reply;
      EXPECT_EQ(detaches ? http_table().detach(reply) : POSTERN_OK, POSTERN_OK);
      throw std::runtime_error("after all");
    };
    auto reply = std::make_shared<Reply>(Reply::Asked{}, [](const Reply::End&) {});
    std::weak_ptr<Reply> weak = reply;
    route.reply(reply);
    reply.reset();
    EXPECT_EQ(weak.expired(), !detaches);
    EXPECT_EQ(*host_.detached_replies, detaches ? 1u : 0u);
    http_table().drop(handle);
    EXPECT_TRUE(weak.expired());
    EXPECT_EQ(*host_.detached_replies, 0u);
  }
}

}  // namespace
}  // namespace postern::extension
