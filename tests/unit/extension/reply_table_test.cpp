// Replies as a plugin sees them: handles that are used twice, too late, too often, or were never one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/http.h>

#include <thread>

#include "core/extension/handles.h"
#include "core/extension/reply_handles.h"
#include "core/extension/table.h"
#include "core/plugin/host.h"

namespace postern::extension {
namespace {

using ingest::Reply;
using Returned = Reply::Returned;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }

class ReplyTable : public ::testing::Test {
 protected:
  struct Asked {
    std::shared_ptr<Reply> reply;
    postern_reply* handle;
  };
  Asked ask() {
    auto reply = std::make_shared<Reply>(Reply::Asked{}, [this](Reply::End end) { ends_.push_back(std::move(end)); });
    return {reply, ReplyHandles::instance().add(reply, detached_)};
  }
  postern_status send(postern_reply* handle, uint32_t status = 200, std::vector<postern_str> headers = {},
                      postern_str body = {}) {
    return http_.send(handle, status, headers.data(), headers.size(), body);
  }
  size_t sent() const {
    return static_cast<size_t>(
        std::count_if(ends_.begin(), ends_.end(), [](const auto& end) { return end.response.has_value(); }));
  }

  const postern_ext_http& http_ = *static_cast<const postern_ext_http*>(host_api().get_extension(nullptr, str(POSTERN_EXT_HTTP)));
  std::shared_ptr<std::atomic<size_t>> detached_ = std::make_shared<std::atomic<size_t>>(0);
  std::vector<Reply::End> ends_;
};

TEST_F(ReplyTable, SendsAnAnswer) {
  Asked asked = ask();
  std::string name = "Content-Type", value = "text/xml", body("a\0b", 3);
  EXPECT_EQ(send(asked.handle, 202, {str(name), str(value), str("X-A"), {nullptr, 0}}, str(body)), POSTERN_OK);
  name = value = body = "#";
  ASSERT_EQ(sent(), 1u);
  const http::Response& response = *ends_[0].response;
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.body, std::string("a\0b", 3)) << "nothing is borrowed";
  EXPECT_THAT(response.headers, ::testing::ElementsAre(std::pair("Content-Type", "text/xml"), std::pair("X-A", "")));
}

TEST_F(ReplyTable, TakesNoneButTheFirst) {
  Asked asked = ask();
  EXPECT_EQ(send(asked.handle), POSTERN_OK);
  EXPECT_EQ(send(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(plugin::take_error(), "the reply has ended");
  http_.drop(asked.handle);
  EXPECT_EQ(http_.detach(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(sent(), 1u);
  EXPECT_EQ(ends_.size(), 1u);
  EXPECT_EQ(*detached_, 0u);
}

TEST_F(ReplyTable, IsNotEndedByAnAnswerThatMakesNoSense) {
  Asked asked = ask();
  for (uint32_t status : {0u, 99u, 100u, 101u, 199u, 600u, 999u, UINT32_MAX})
    EXPECT_EQ(send(asked.handle, status), POSTERN_E_INVALID) << status;
  EXPECT_EQ(send(asked.handle, 200, {str("X-Odd")}), POSTERN_E_INVALID);
  EXPECT_EQ(send(asked.handle, 200, {str("X-A"), str("1"), str("X-Odd")}), POSTERN_E_INVALID);
  for (std::string_view name : {"", "X A", "X-A:", "X-A\r\nX-Evil: 1", "\xc3\xa4"}) {
    EXPECT_EQ(send(asked.handle, 200, {str(name), str("1")}), POSTERN_E_INVALID) << name;
  }
  for (std::string_view value :
       {std::string_view("a\r\nX-Evil: 1"), std::string_view("a\nb"), std::string_view("a\0b", 3), std::string_view("\x7f")}) {
    EXPECT_EQ(send(asked.handle, 200, {str("X-Fine"), str("1"), str("X-A"), str(value)}), POSTERN_E_INVALID) << value;
  }
  EXPECT_EQ(http_.send(asked.handle, 200, nullptr, 2, {}), POSTERN_E_INVALID);
  EXPECT_TRUE(ends_.empty());
  EXPECT_EQ(send(asked.handle, 200), POSTERN_OK) << "the plugin may mend it";
  for (uint32_t status : {204u, 301u, 404u, 599u}) EXPECT_EQ(send(ask().handle, status), POSTERN_OK) << status;
}

TEST_F(ReplyTable, BoundsAnAnswer) {
  constexpr size_t kMost = 4 << 20;
  Asked asked = ask();
  const std::string most(kMost, 'x'), more = most + "x";
  EXPECT_EQ(send(asked.handle, 200, {}, str(more)), POSTERN_E_LIMIT);
  EXPECT_EQ(send(asked.handle, 200, {}, {most.data(), SIZE_MAX}), POSTERN_E_LIMIT);
  EXPECT_TRUE(ends_.empty());
  EXPECT_EQ(send(asked.handle, 200, {}, str(most)), POSTERN_OK);
  EXPECT_EQ(ends_[0].response->body.size(), kMost);
}

// ---- handles

TEST_F(ReplyTable, KnowsNoHandleAfterTheHandlerReturned) {
  Asked asked = ask();
  EXPECT_FALSE(ReplyHandles::instance().on_return(asked.handle));
  std::weak_ptr<Reply> weak = asked.reply;
  asked.reply.reset();
  EXPECT_TRUE(weak.expired()) << "a handle that was given back keeps nothing alive";
  EXPECT_EQ(send(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(http_.detach(asked.handle), POSTERN_E_GONE);
  http_.drop(asked.handle);
  EXPECT_TRUE(ends_.empty());
}

TEST_F(ReplyTable, KnowsNoHandleThatItNeverGave) {
  for (postern_reply* handle : {static_cast<postern_reply*>(nullptr), reinterpret_cast<postern_reply*>(UINTPTR_MAX),
                                reinterpret_cast<postern_reply*>(uintptr_t{0x7ff0000000000000})}) {
    EXPECT_EQ(send(handle), POSTERN_E_GONE);
    EXPECT_EQ(http_.detach(handle), POSTERN_E_GONE);
    http_.drop(handle);
  }
}

TEST_F(ReplyTable, NeverGivesAHandleTwice) {
  Asked first = ask();
  ReplyHandles::instance().on_return(first.handle);
  Asked second = ask();
  EXPECT_NE(first.handle, second.handle);
  EXPECT_EQ(send(first.handle), POSTERN_E_GONE) << "a late answer must not go to another request";
  EXPECT_TRUE(ends_.empty());
}

TEST_F(ReplyTable, KeepsWhatIsDetachedUntilItIsSent) {
  Asked asked = ask();
  std::weak_ptr<Reply> weak = asked.reply;
  EXPECT_EQ(http_.detach(asked.handle), POSTERN_OK);
  EXPECT_EQ(http_.detach(asked.handle), POSTERN_OK) << "again is no second one";
  EXPECT_EQ(*detached_, 1u);
  EXPECT_TRUE(ReplyHandles::instance().on_return(asked.handle));
  asked.reply.reset();
  EXPECT_FALSE(weak.expired()) << "the plugin still looks at the request";
  EXPECT_EQ(send(asked.handle, 99), POSTERN_E_INVALID);
  EXPECT_EQ(*detached_, 1u) << "not ended by that";
  EXPECT_EQ(send(asked.handle), POSTERN_OK);
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(*detached_, 0u);
  EXPECT_EQ(send(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(ends_.size(), 1u);
}

TEST_F(ReplyTable, KeepsWhatIsDetachedUntilItIsDropped) {
  Asked asked = ask();
  std::weak_ptr<Reply> weak = asked.reply;
  asked.reply.reset();
  ASSERT_EQ(http_.detach(asked.handle), POSTERN_OK);
  ReplyHandles::instance().on_return(asked.handle);
  http_.drop(asked.handle);
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(*detached_, 0u);
  ASSERT_EQ(ends_.size(), 1u);
  EXPECT_FALSE(ends_[0].response.has_value());
  http_.drop(asked.handle);
  EXPECT_EQ(send(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(ends_.size(), 1u);
}

// However late: the view stays as long as the handle, and the answer that comes then gives the handle back.
TEST_F(ReplyTable, LetsALateAnswerGiveTheHandleBack) {
  Asked asked = ask();
  ASSERT_EQ(http_.detach(asked.handle), POSTERN_OK);
  ReplyHandles::instance().on_return(asked.handle);
  EXPECT_TRUE(asked.reply->expire());
  EXPECT_EQ(send(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(*detached_, 0u);
  std::weak_ptr<Reply> weak = asked.reply;
  asked.reply.reset();
  EXPECT_TRUE(weak.expired());
  EXPECT_TRUE(ends_.empty());
}

TEST_F(ReplyTable, DetachesNothingPastItsDeadline) {
  Asked asked = ask();
  EXPECT_TRUE(asked.reply->expire());
  EXPECT_EQ(http_.detach(asked.handle), POSTERN_E_GONE);
  EXPECT_EQ(*detached_, 0u);
  EXPECT_FALSE(ReplyHandles::instance().on_return(asked.handle)) << "given back with the return";
}

TEST_F(ReplyTable, SentByAnotherThreadBeforeTheHandlerReturns) {
  Asked asked = ask();
  ASSERT_EQ(http_.detach(asked.handle), POSTERN_OK);
  std::thread([&] { EXPECT_EQ(send(asked.handle), POSTERN_OK); }).join();
  EXPECT_EQ(*detached_, 0u);
  ReplyHandles::instance().on_return(asked.handle);
  asked.reply->on_return(Returned::kPending, "");
  EXPECT_EQ(ends_.size(), 1u);
}

// Attack: a plugin that detaches everything and answers nothing. Each holds its request.
TEST_F(ReplyTable, BoundsWhatIsDetached) {
  std::vector<postern_reply*> handles;
  for (size_t i = 0; i < ReplyHandles::kMaxDetached; ++i) {
    handles.push_back(ask().handle);
    ASSERT_EQ(http_.detach(handles.back()), POSTERN_OK);
  }
  Asked one_more = ask();
  EXPECT_EQ(http_.detach(one_more.handle), POSTERN_E_LIMIT);
  EXPECT_EQ(*detached_, ReplyHandles::kMaxDetached);
  EXPECT_EQ(send(one_more.handle), POSTERN_OK) << "it may still answer now";
  auto others = std::make_shared<std::atomic<size_t>>(0);
  auto reply = std::make_shared<Reply>(Reply::Asked{}, [](const Reply::End&) {});
  postern_reply* of_another = ReplyHandles::instance().add(reply, others);
  EXPECT_EQ(http_.detach(of_another), POSTERN_OK) << "the bound is one plugin's";
  http_.drop(of_another);
  http_.drop(handles.back());
  handles.pop_back();
  Asked next = ask();
  EXPECT_EQ(http_.detach(next.handle), POSTERN_OK) << "there is room again";
  handles.push_back(next.handle);
  for (postern_reply* handle : handles) http_.drop(handle);
  EXPECT_EQ(*detached_, 0u);
}

}  // namespace
}  // namespace postern::extension
