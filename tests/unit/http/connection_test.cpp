// Connections over real sockets: order, ends, refusals.
#include "core/http/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>

#include "tests/unit/http/connection_harness.h"

namespace postern::http::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// ---- pipelining

class Pipelining : public ConnectionTest {
 protected:
  // Sends that many requests at once and reads the answers; true when they came in order.
  bool run(int count) {
    auto client = connect();
    std::thread sender([&] {
      std::string all;
      for (int i = 0; i < count; ++i) all += get("/" + std::to_string(i));
      client->send(all);
    });
    bool right = true;
    for (int i = 0; i < count && right; ++i) {
      Client::Answer answer = client->read_answer();
      right = answer.status == 200 && answer.body == "/" + std::to_string(i);
    }
    sender.join();
    return right;
  }
  int64_t loop_cpu_us() {
    int64_t us = 0;
    on_loop([&] {
      timespec now{};
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
      us = now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
    });
    return us;
  }
  // The loop's best time for so many requests.
  int64_t cost_us(int count) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < 3; ++i) {
      int64_t before = loop_cpu_us();
      EXPECT_TRUE(run(count));
      best = std::min(best, loop_cpu_us() - before);
    }
    return best;
  }
};

TEST_F(Pipelining, AnswersThousandsInOrder) {
  EXPECT_TRUE(run(3000));
  answer_later();
  EXPECT_TRUE(run(3000));
}

// Attack: many small requests in one packet, each of which would be served inside the one before it, until the stack ends.
TEST_F(Pipelining, DoesNotNest) {
  for (bool later : {false, true}) {
    uintptr_t lowest = UINTPTR_MAX, highest = 0;
    on_loop([&] {
      service_.request = [&, later](std::shared_ptr<Exchange> exchange) {
        // Not a local's address: under ASan locals may live elsewhere than on the stack.
        auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
        lowest = std::min(lowest, here);
        highest = std::max(highest, here);
        auto answer = [exchange] { exchange->respond(Response::json(200, std::string(exchange->request.target()))); };
        later ? loop_.post(answer) : answer();
      };
    });
    EXPECT_TRUE(run(3000));
    on_loop([&] { EXPECT_LT(highest - lowest, 16u * 1024) << (later ? "answered later" : "answered at once"); });
  }
}

// Attack: thousands of requests in one read, each answered at once, while everybody else on the loop waits.
TEST_F(Pipelining, GivesOthersTheirTurn) {
  size_t served = 0, served_before_others = 0;
  on_loop([&] {
    service_.request = [&](const std::shared_ptr<Exchange>& exchange) {
      if (served++ == 0) loop_.post([&] { served_before_others = served; });
      exchange->respond(Response::json(200, std::string(exchange->request.target())));
    };
  });
  EXPECT_TRUE(run(3000));
  on_loop([&] {
    EXPECT_EQ(served, 3000u);
    EXPECT_GT(served_before_others, 0u);
    EXPECT_LE(served_before_others, 64u);
  });
}

// Attack: what waits behind the request at hand is moved about for each of many.
TEST_F(Pipelining, CostsNoMoreThanItsBytes) {
  for (bool later : {false, true}) {
    if (later) answer_later();
    int64_t some = cost_us(2000), more = cost_us(16'000);
    EXPECT_LT(more, 8 * 3 * std::max<int64_t>(some, 1000)) << some << " us for 2,000, " << more << " us for 16,000";
  }
}

TEST_F(Pipelining, ReadsOnlySoFarAhead) {
  keep_requests();
  auto client = connect();
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += get("/" + std::to_string(i));
    return text;
  }();
  size_t sent = 0;
  while (sent < (64u << 20) && client->writable_within(200)) {
    ssize_t n = ::send(client->fd(), many.data(), many.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) sent += static_cast<size_t>(n);
  }
  EXPECT_LT(sent, 4u << 20) << "an unanswered client may fill our memory";
  wait_for_request();
  on_loop([&] { EXPECT_EQ(kept_.size(), 1u) << "one at a time"; });
  client->close();
  EXPECT_TRUE(all_closed_within(milliseconds(10'000)));
  on_loop([&] { kept_.clear(); });
}

TEST_F(Pipelining, MixesBodiesAndRefusalsWithoutOne) {
  on_loop([this] {
    service_.head = [](Exchange&, const Request& head) {
      if (head.target() == "/no") return Service::Admission{true, Response::error(404, "no"), 0};
      return Service::Admission{false, {}, 1024};
    };
    service_.request = [](const std::shared_ptr<Exchange>& e) { e->respond(Response::json(200, std::string(e->request.target()) + e->request.body())); };
  });
  auto client = connect();
  client->send(post("/a", "x") + get("/no") + post("/b", "yy") + get("/no") + get("/no") + post("/c", "") + get("/d"));
  std::vector<std::string> seen;
  for (int i = 0; i < 7; ++i) {
    Client::Answer answer = client->read_answer();
    seen.push_back(std::to_string(answer.status) + answer.body);
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("200/ax", StartsWith("404"), "200/byy", StartsWith("404"), StartsWith("404"), "200/c", "200/d"));
}

// ---- ends

using Ends = ConnectionTest;

TEST_F(Ends, ByTheClientsSideOnlyAfterItsAnswers) {
  for (bool later : {false, true}) {
    if (later) answer_later();
    auto client = connect();
    client->send(get("/1") + get("/2") + get("/3"));
    client->half_close();
    for (int i = 1; i <= 3; ++i) EXPECT_EQ(client->read_answer().body, "/" + std::to_string(i)) << later;
    EXPECT_TRUE(client->at_end());
    EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  }
}

// The client can send no more of it: to wait for its deadline would only hold the connection.
TEST_F(Ends, WithoutWaitingForARequestThatCannotBecomeWhole) {
  for (const std::string& part : {std::string("GET /par"), std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab")}) {
    for (bool later : {false, true}) {
      auto client = connect();
      if (later) keep_requests();
      client->send(get("/1") + part);
      client->half_close();
      if (later) {
        wait_for_request();
        on_loop([] {});  // the end of the client's side has been seen by now
        on_loop([] {});
        answer_kept(Response::json(200, "/1"));
      }
      EXPECT_EQ(client->read_answer().body, "/1");
      bool ended = client->readable_within(5000);
      EXPECT_TRUE(ended && client->at_end()) << "still open: " << part << (later ? ", answered later" : "");
      client->close();
      EXPECT_TRUE(all_closed_within(milliseconds(5000)));
      on_loop([this] { service_.request = ScriptedService().request; });
    }
  }
}

TEST_F(Ends, ByAResetWhileItsAnswerIsMade) {
  keep_requests();
  auto client = connect_tcp();
  client->send(get("/1"));
  wait_for_request();
  client->reset();
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
  answer_kept(Response::json(200, "nobody hears this"));
}

TEST_F(Ends, ByAResetAtAnyPlace) {
  for (const std::string& bytes : {std::string(), std::string("GE"), std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab"),
                                   get("/1"), get("/1") + "GET"}) {
    auto client = connect_tcp();
    client->send(bytes);
    client->reset();
    EXPECT_TRUE(all_closed_within(milliseconds(5000))) << bytes;
  }
}

TEST_F(Ends, ByAResetInTheMiddleOfALargeAnswer) {
  keep_requests();
  auto client = connect_tcp();
  client->send(get("/1"));
  wait_for_request();
  answer_kept(Response::json(200, std::string(32 << 20, 'x')));
  ASSERT_TRUE(client->readable_within(5000));
  client->reset();
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
}

TEST_F(Ends, AsRequestAndAnswerSay) {
  struct {
    std::string request;
    bool close;
  } cases[] = {
      {get("/"), false},
      {get("/", "Connection: close\r\n"), true},
      {get("/", "Connection: keep-alive\r\n"), false},
      {get("/", "Connection: x, CLOSE\r\n"), true},
      {"GET / HTTP/1.0\r\nHost: h\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", false},
  };
  for (const auto& one : cases) {
    auto client = connect();
    client->send(one.request);
    Client::Answer answer = client->read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.has("Connection: close\r\n"), one.close) << one.request;
    if (one.close) {
      EXPECT_TRUE(client->at_end()) << one.request;
    } else {
      client->send(get("/2"));
      EXPECT_EQ(client->read_answer().body, "/2") << one.request;
    }
  }
}

// The answer to `Connection: close` is the last one; a reset, for what came behind, would eat it.
TEST_F(Ends, AfterAnAnswerThatIsTheLastWhateverComesBehind) {
  auto client = connect_tcp();
  const std::string all = get("/1", "Connection: close\r\n") + std::string(16 << 20, 'x');
  EXPECT_EQ(client->send(all), all.size()) << "the sender was cut off";
  EXPECT_EQ(client->read_answer().body, "/1");
  bool orderly = false;
  EXPECT_EQ(client->read_all(&orderly), "");
  EXPECT_TRUE(orderly);
  client->close();
  EXPECT_TRUE(all_closed_within(milliseconds(5000)));
}

TEST_F(Ends, AfterAnAnswerThatSaysSo) {
  keep_requests();
  auto client = connect();
  client->send(get("/1") + get("/2"));
  wait_for_request();
  Response response = Response::json(200, "last");
  response.close = true;
  answer_kept(response);
  Client::Answer answer = client->read_answer();
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(client->at_end()) << "the request behind it must not be answered";
  on_loop([&] { EXPECT_TRUE(kept_.empty()); });
}

TEST_F(Ends, WhenTheGatewayDrains) {
  keep_requests();
  auto fresh = connect(), used = connect(), busy = connect(), half_way = connect();
  used->send(get("/used"));
  wait_for_request();
  answer_kept(Response::json(200, "before"));
  EXPECT_EQ(used->read_answer().body, "before");
  busy->send(get("/busy"));
  wait_for_request();
  half_way->send("GET /half HTTP/1.1\r\n");
  on_loop([] {});
  on_loop([] {});
  on_loop([this] { connections_.drain(); });
  EXPECT_TRUE(used->at_end());
  on_loop([this] { EXPECT_EQ(connections_.size(), 2u) << "those with a request are waited for"; });
  answer_kept(Response::json(200, "done"));
  Client::Answer answer = busy->read_answer();
  EXPECT_EQ(answer.body, "done");
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(busy->at_end());
  half_way->send("Host: h\r\n\r\n");
  wait_for_request();
  answer_kept(Response::json(200, "done too"));
  answer = half_way->read_answer();
  EXPECT_EQ(answer.body, "done too");
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(half_way->at_end());
  // Its first request may have been on its way already.
  fresh->send(get("/fresh"));
  wait_for_request();
  answer_kept(Response::json(503, "come again"));
  answer = fresh->read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(fresh->at_end());
}

// ---- HEAD and 100-continue

using Answers = ConnectionTest;

TEST_F(Answers, ToHeadHaveNoBody) {
  auto client = connect();
  client->send("HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n" + get("/get"));
  Client::Answer head = client->read_answer(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("Content-Length: 5\r\n"));
  EXPECT_EQ(client->read_answer().body, "/get");
}

TEST_F(Answers, TellToGoOnWhenTheClientWaits) {
  auto client = connect();
  client->send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  Client::Answer go_on = client->read_answer();
  EXPECT_EQ(go_on.head, "HTTP/1.1 100 Continue\r\n\r\n");
  client->send("ab");
  EXPECT_EQ(client->read_answer().body, "/p");
  client->send(get("/2"));
  EXPECT_EQ(client->read_answer().body, "/2");
}

TEST_F(Answers, DoNotTellToGoOnWhenTheBodyIsThere) {
  auto client = connect();
  client->send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab");
  EXPECT_EQ(client->read_answer().status, 200);
}

TEST_F(Answers, DoNotTellToGoOnWhatIsRefused) {
  on_loop([this] { service_.head = [](Exchange&, const Request&) { return Service::Admission{true, Response::error(403, "no"), 0}; }; });
  auto client = connect();
  client->send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  Client::Answer answer = client->read_answer();
  EXPECT_EQ(answer.status, 403);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  client->half_close();
  EXPECT_TRUE(client->at_end());
}

// ---- refusals

}  // namespace
}  // namespace postern::http::testing
