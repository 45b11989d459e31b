// A session on a loop's thread, and a peer at the other end of a real socket that speaks bytes. Thread-safety: the test's thread.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <Poco/Net/StreamSocketImpl.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/websocket/session.h"
#include "tests/unit/net/loop_thread.h"
#include "tests/unit/websocket/frames.h"

namespace postern::websocket::testing {

// The other end. Waits at most ten seconds for anything.
class Peer {
 public:
  explicit Peer(int fd, Role role) : fd_(fd), client_(role == Role::kClient) {
    timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~Peer() { close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void send(const Frame& frame) const { send_raw(put(frame, client_)); }
  void send_raw(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  // The next frame; an opcode of 255 when the connection ended or nothing came.
  Frame read() {
    while (true) {
      if (auto frame = get(received_)) return *frame;
      char bytes[16384];
      const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
      if (n <= 0) return {255, {}};
      received_.append(bytes, static_cast<size_t>(n));
    }
  }
  // Whether the other side ends, whatever it still sends.
  bool ends() {
    while (read().opcode != 255) continue;
    char byte;
    return ::recv(fd_, &byte, 1, 0) == 0;
  }
  bool has_something_within(int ms) const {
    pollfd one{fd_, POLLIN, 0};
    return ::poll(&one, 1, ms) == 1;
  }
  void half_close() const { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  const bool client_;
  std::string received_;
};

// Notes what is told. Calls come on the loop's thread.
class Notes final : public Session::Handler {
 public:
  std::function<void(Session&, Kind, std::string_view)> message;

  void on_message(Session& session, Kind kind, std::string_view data) override {
    if (message) return message(session, kind, data);
    add((kind == Kind::kText ? "text:" : "binary:") + (data.size() <= 40 ? std::string(data) : std::to_string(data.size()) + " bytes"));
  }
  void on_writable(Session&) override { add("writable"); }
  void on_ended(Session&, const Ending& ending) override {
    {
      std::lock_guard lock(mutex_);
      ending_ = ending;
      ++ended_;
    }
    add("ended");
  }
  // Waits for the next one, and takes it; "" when nothing comes.
  std::string next() {
    std::unique_lock lock(mutex_);
    if (!came_.wait_for(lock, std::chrono::seconds(10), [&] { return !list_.empty(); })) return "";
    std::string first = list_.front();
    list_.erase(list_.begin());
    return first;
  }
  bool empty() {
    std::lock_guard lock(mutex_);
    return list_.empty();
  }
  Ending ending() {
    std::lock_guard lock(mutex_);
    return ending_;
  }
  int ended() {
    std::lock_guard lock(mutex_);
    return ended_;
  }
  void add(std::string text) {
    std::lock_guard lock(mutex_);
    list_.push_back(std::move(text));
    came_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<std::string> list_;
  Ending ending_;
  int ended_ = 0;
};

class SessionTest : public ::testing::Test {
 protected:
  void TearDown() override {
    on_loop([this] {
      if (session_) session_->abort("the test ends");
      session_.reset();
    });
    EXPECT_EQ(notes_.ended(), started_) << "each end is told once";
  }
  void on_loop(const std::function<void()>& task) { thread_.run(task); }
  // `role` is the session's; the peer has the other.
  void start(const std::string& first = "", Role role = Role::kServer, int buffer = 0) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    if (buffer > 0) {
      for (int fd : fds) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    }
    peer_ = std::make_unique<Peer>(fds[1], role == Role::kServer ? Role::kClient : Role::kServer);
    on_loop([&] {
      auto stream = std::make_unique<net::PlainStream>(Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(fds[0])));
      session_ = Session::start(loop_, std::move(stream), role, limits_, notes_, first);
    });
    ++started_;
  }
  Status send(const std::string& data, Class what = Class::kControl, Kind kind = Kind::kText) {
    Status status;
    on_loop([&] { status = session_->send(kind, data, what); });
    return status;
  }

  net::testing::LoopThread thread_;
  net::EventLoop& loop_ = thread_.loop();
  Notes notes_;
  Limits limits_{.max_message = 100'000, .max_queued = 10'000, .ping_ms = 60'000, .close_ms = 60'000, .write_ms = 60'000};
  std::unique_ptr<Peer> peer_;
  std::shared_ptr<Session> session_;  // the loop's
  int started_ = 0;
};

}  // namespace postern::websocket::testing
