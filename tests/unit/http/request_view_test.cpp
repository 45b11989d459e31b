#include "core/http/request_view.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

namespace postern::http {
namespace {

RequestView view_of(std::string_view headers, std::string_view body) { return {"POST", "/hook", headers, body, "192.0.2.1"}; }

TEST(RequestView, HeadersByNameAndNumber) {
  RequestView view = view_of("X-A: 1\r\nx-a:  2\r\nNo colon\r\nEmpty: \r\nX-A: c: d\r\n", "");
  EXPECT_EQ(view.header("X-A", 0), "1");
  EXPECT_EQ(view.header("x-A", 1), " 2");
  EXPECT_EQ(view.header("x-a", 2), "c: d");
  EXPECT_EQ(view.header("x-a", 3), std::nullopt);
  EXPECT_EQ(view.header("empty", 0), "");
  EXPECT_EQ(view.header("no colon", 0), std::nullopt);
  EXPECT_EQ(view.header("", 0), std::nullopt);
}

TEST(RequestView, FormOfABodyThatSaysItIsOne) {
  for (const char* headers : {"Content-Type: application/x-www-form-urlencoded\r\n",
                              "content-TYPE: Application/X-WWW-form-urlencoded; charset=UTF-8\r\n",
                              "X: y\r\nContent-Type: application/x-www-form-urlencoded;charset=utf-8\r\nZ: a\r\n"}) {
    RequestView view = view_of(headers, "a=1&b=+&a=2");
    EXPECT_EQ(view.form(), (Form{{"a", "1"}, {"b", " "}, {"a", "2"}})) << headers;
  }
}

TEST(RequestView, NoFormOfAnyOtherBody) {
  for (const char* headers :
       {"", "Content-Type: \r\n", "Content-Type: application/json\r\n", "Content-Type: text/plain; charset=utf-8\r\n",
        "X-Content-Type: application/x-www-form-urlencoded\r\n", "Accept: application/x-www-form-urlencoded\r\n",
        // Of two, the first is what every other reader goes by.
        "Content-Type: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\n"}) {
    RequestView view = view_of(headers, "a=1");
    EXPECT_TRUE(view.form().empty()) << headers;
  }
  EXPECT_TRUE(view_of("Content-Type: application/x-www-form-urlencoded\r\n", "").form().empty());
}

// Plugins hold pointers into it as long as the request lives.
TEST(RequestView, FormIsTakenApartOnce) {
  RequestView view = view_of("Content-Type: application/x-www-form-urlencoded\r\n", "a=1");
  const Form* form = &view.form();
  const char* bytes = view.form()[0].second.data();
  EXPECT_EQ(&view.form(), form);
  EXPECT_EQ(view.form()[0].second.data(), bytes);
}

TEST(RequestView, FormMayBeAskedForByManyThreadsAtOnce) {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "name" + std::to_string(i) + "=value&";
  constexpr int kThreads = 8;
  for (int round = 0; round < 20; ++round) {
    RequestView view = view_of("Content-Type: application/x-www-form-urlencoded\r\n", body);
    std::latch all(kThreads);
    std::vector<const char*> seen(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        all.arrive_and_wait();
        const Form& form = view.form();
        seen[static_cast<size_t>(i)] = form.size() == 1000 ? form.back().first.data() : nullptr;
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const char* bytes : seen) EXPECT_EQ(bytes, view.form().back().first.data());
    EXPECT_EQ(view.form().back().first, "name999");
  }
}

}  // namespace
}  // namespace postern::http
