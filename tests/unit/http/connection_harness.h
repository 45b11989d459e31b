// A loop on a thread of its own with connections, a service that does what a test says, and a client at the other end of a real
// socket. Thread-safety: the test's thread, but where a member says otherwise.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/http/connection_set.h"

namespace postern::http::testing {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

inline std::string get(const std::string& target, const std::string& headers = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}
inline std::string post(const std::string& target, const std::string& body, const std::string& headers = "") {
  return "POST " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

// Everything in it runs on the loop's thread.
class ScriptedService final : public Service {
 public:
  std::function<Admission(Exchange&, const Request&)> head = [](Exchange&, const Request&) { return Admission{false, {}, 64 << 20}; };
  std::function<void(std::shared_ptr<Exchange>)> request = [](const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(Response::json(200, std::string(exchange->request.target())));
  };
  std::function<void(const Connection&)> closed;
  std::vector<int> malformed;

  Admission on_head(Exchange& exchange, const Request& request) override { return head(exchange, request); }
  void on_request(std::shared_ptr<Exchange> exchange) override { request(std::move(exchange)); }
  void on_malformed(const Exchange&, int status, const char*) override { malformed.push_back(status); }
  void on_closed(const Connection& connection) override { closed(connection); }
};

// The other end. Waits at most ten seconds for anything.
class Client {
 public:
  explicit Client(int fd) : fd_(fd) {
    timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int fd() const { return fd_; }
  // How many bytes went out before the other side had enough.
  size_t send(std::string_view bytes) const {
    size_t done = 0;
    while (done < bytes.size()) {
      ssize_t n = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }
  void half_close() const { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // Whether there is something to read (or the end) within that time.
  bool readable_within(int ms) const {
    pollfd one{fd_, POLLIN, 0};
    return ::poll(&one, 1, ms) == 1;
  }
  bool writable_within(int ms) const {
    pollfd one{fd_, POLLOUT, 0};
    return ::poll(&one, 1, ms) == 1;
  }

  struct Answer {
    int status = 0;  // 0: none came
    std::string head, body;
    bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
    std::string request_id() const {
      size_t at = head.find("X-Request-Id: ");
      return at == std::string::npos ? "" : head.substr(at + 14, head.find("\r\n", at) - at - 14);
    }
  };
  // The next answer; `head_only`: to a HEAD request.
  Answer read_answer(bool head_only = false) {
    Answer answer;
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return answer;
    }
    answer.head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    size_t length = 0;
    if (size_t at = answer.head.find("Content-Length: "); at != std::string::npos && !head_only)
      length = std::stoul(answer.head.substr(at + 16));
    while (buffer_.size() < length) {
      if (!read_more()) return answer;
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    answer.status = std::stoi(answer.head.substr(9, 3));
    return answer;
  }
  // Nothing more came, and the end was an orderly one.
  bool at_end() {
    char byte;
    return buffer_.empty() && ::recv(fd_, &byte, 1, 0) == 0;
  }
  // Everything up to the end; `orderly` tells a close from a reset.
  std::string read_all(bool* orderly = nullptr) {
    while (read_more()) {
    }
    if (orderly != nullptr) *orderly = last_ == 0;
    return std::move(buffer_);
  }

 private:
  bool read_more() {
    char bytes[64 * 1024];
    last_ = ::recv(fd_, bytes, sizeof bytes, 0);
    if (last_ > 0) buffer_.append(bytes, static_cast<size_t>(last_));
    return last_ > 0;
  }

  int fd_;
  ssize_t last_ = 0;
  std::string buffer_;
};

class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.closed = [this](const Connection& connection) {
      connections_.remove(connection);
      ++closed_;
      std::lock_guard lock(mutex_);
      if (connections_.size() == 0 && waiting_) {
        waiting_->set_value();
        waiting_.reset();
      }
    };
    ASSERT_TRUE(loop_.open());
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    on_loop([this] { connections_.close(); });
    loop_.stop();
    thread_.join();
    EXPECT_EQ(closed_, opened_) << "each connection ends once";
  }

  // A connection over a unix socket, or over TCP where the test needs its resets.
  std::unique_ptr<Client> connect() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return serve(fds[0], fds[1]);
  }
  std::unique_ptr<Client> connect_tcp() {
    int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener, 1), 0);
    EXPECT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size), 0);
    int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&at), size), 0);
    int server = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    ::close(listener);
    return serve(server, client);
  }

  void on_loop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  // Whether all connections have ended within that time.
  bool all_closed_within(milliseconds limit) {
    std::future<void> ended;
    on_loop([&] {
      std::lock_guard lock(mutex_);
      waiting_ = std::make_unique<std::promise<void>>();
      ended = waiting_->get_future();
      if (connections_.size() > 0) return;
      waiting_->set_value();
      waiting_.reset();
    });
    bool in_time = ended.wait_for(limit) == std::future_status::ready;
    std::lock_guard lock(mutex_);
    waiting_.reset();
    return in_time;
  }

  // From now on requests are kept, and answered by answer_kept().
  void keep_requests() {
    on_loop([this] {
      service_.request = [this](std::shared_ptr<Exchange> exchange) {
        kept_.push_back(std::move(exchange));
        kept_count_.set_value();
        kept_count_ = {};
      };
    });
  }
  // Waits until a request is there to be answered.
  void wait_for_request() {
    std::future<void> next;
    on_loop([&] {
      if (kept_.empty()) next = kept_count_.get_future();
    });
    if (!next.valid()) return;
    ASSERT_EQ(next.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
  void answer_kept(const Response& response) {
    on_loop([&] {
      auto kept = std::move(kept_);
      kept_.clear();
      for (auto& exchange : kept) exchange->respond(response);
    });
  }
  // Answers come from a turn of their own.
  void answer_later() {
    on_loop([this] {
      service_.request = [this](std::shared_ptr<Exchange> exchange) {
        loop_.post([exchange] { exchange->respond(Response::json(200, std::string(exchange->request.target()))); });
      };
    });
  }

  uint64_t budget_used() const { return budget_.used(); }
  // Leaves less than 2 KiB of it to everybody else; returns how much that took.
  uint64_t use_up_budget() {
    uint64_t taken = 0;
    for (uint64_t piece = 1 << 20; piece >= 1024; piece /= 2) {
      while (budget_.take(0, piece)) taken += piece;
    }
    return taken;
  }

  net::EventLoop loop_;
  std::thread thread_;
  ScriptedService service_;
  MemoryBudget budget_{2 << 20};
  ConnectionSet connections_;
  ConnectionCounts::Slot slot_;  // of the next connection
  Timeouts timeouts_{20'000, 20'000, 20'000, 20'000};
  std::vector<std::shared_ptr<Exchange>> kept_;  // the loop's
  std::promise<void> kept_count_;                // the loop's
  int opened_ = 0, closed_ = 0;
  std::function<std::unique_ptr<net::Stream>(Poco::Net::StreamSocket)> make_stream_ = [](Poco::Net::StreamSocket socket) {
    return std::make_unique<net::PlainStream>(std::move(socket));
  };

 private:
  std::unique_ptr<Client> serve(int server, int client) {
    ++opened_;
    on_loop([&] {
      auto stream = make_stream_(Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(server)));
      connections_.open(loop_, std::move(stream), service_, timeouts_, budget_, std::move(slot_));
    });
    return std::make_unique<Client>(client);
  }

  std::mutex mutex_;
  std::unique_ptr<std::promise<void>> waiting_;
};

}  // namespace postern::http::testing
