#include "tests/bench/load/worker.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <utility>

#include "tests/bench/load/response.h"

namespace postern::load {
namespace {

constexpr int64_t kReconnectUs = 10'000;
constexpr int64_t kCheckUs = 100'000;
constexpr int64_t kTickUs = 250;
constexpr int64_t kLastAnswersUs = 5'000'000;  // after the end, for what is under way
constexpr size_t kRememberedIds = 65536;

int64_t steady_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}
int64_t steady_us() { return steady_ns() / 1000; }

int64_t wall_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::mt19937_64 seeded() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
  return std::mt19937_64(seed);
}

}  // namespace

Worker::Worker(const Options& options, const Target& target, Shared& shared, uint32_t connections, uint64_t requests,
               double rate)
    : options_(options),
      target_(target),
      shared_(shared),
      most_requests_(requests),
      interval_ns_(rate > 0 ? static_cast<int64_t>(1e9 / rate) : 0),
      source_(make_event_source(options)),
      tls_(options.tls ? std::make_unique<TlsClient>() : nullptr),
      journal_(options.journal),
      unacked_(options.journal_unacked ? options.journal + ".unacked" : ""),
      random_(seeded()),
      connections_(connections),
      down_(connections) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (epoll_ < 0 || timer_ < 0) throw std::runtime_error(std::string("epoll: ") + std::strerror(errno));
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
}

Worker::~Worker() {
  for (const auto& connection : connections_) {
    if (connection.fd >= 0) close(connection.fd);
  }
  close(timer_);
  close(epoll_);
}

void Worker::run() {
  try {
    loop();
    for (auto& connection : connections_) {
      if (connection.state == State::kWaiting && !connection.repeat) again_.push_back(connection.id);
    }
    for (const auto& id : again_) unacked_.add(id);
    figures_.unacked += again_.size();
    journal_.flush();
    unacked_.flush();
  } catch (const std::exception& error) {
    figures_.failure = error.what();
    shared_.stop = true;
  }
  shared_.running -= 1;
}

void Worker::loop() {
  start_us_ = now_us_ = last_up_us_ = steady_us();
  next_due_ns_ = start_us_ * 1000;
  end_us_ = options_.duration_s > 0 ? start_us_ + static_cast<int64_t>(options_.duration_s * 1e6) : INT64_MAX;
  while (!finished()) {
    open_down_connections(now_us_);
    if (interval_ns_ > 0 || !idle_.empty()) send_due(now_us_);
    wait(now_us_);
    check_timeouts(now_us_);
    journal_.flush();
    shared_.acked += figures_.acked - published_acked_;
    published_acked_ = figures_.acked;
  }
}

bool Worker::may_send(int64_t now_us) const {
  if (now_us >= end_us_ || shared_.stop.load(std::memory_order_relaxed)) return false;
  return most_requests_ == 0 || figures_.requests - figures_.retries < most_requests_ || !again_.empty();
}

bool Worker::finished() const {
  if (!figures_.failure.empty()) return true;
  if (may_send(now_us_)) return false;
  const int64_t last_us = end_us_ == INT64_MAX ? INT64_MAX : end_us_ + kLastAnswersUs;
  return waiting_ == 0 || now_us_ >= last_us || shared_.stop.load(std::memory_order_relaxed);
}

void Worker::open_down_connections(int64_t now_us) {
  if (down_ == 0 || !may_send(now_us)) return;
  for (auto& connection : connections_) {
    if (connection.state == State::kDown && connection.retry_at_us <= now_us) open(connection, now_us);
  }
}

void Worker::open(Connection& connection, int64_t now_us) {
  connection.fd = socket(target_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  --down_;
  connection.state = State::kConnecting;
  connection.sent_us = now_us;
  watch(connection, EPOLL_CTL_ADD, EPOLLOUT);
  if (connect(connection.fd, reinterpret_cast<const sockaddr*>(&target_.address), target_.size) != 0 &&
      errno != EINPROGRESS) {
    end(connection, &Figures::refused_connections, now_us);
  }
}

void Worker::opened(Connection& connection, int64_t now_us) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return end(connection, &Figures::refused_connections, now_us);
  if (!tls_) return ready(connection, now_us);
  connection.tls = tls_->connect(connection.fd);
  connection.state = State::kShakingHands;
  shake_hands(connection, now_us);
}

void Worker::shake_hands(Connection& connection, int64_t now_us) {
  switch (TlsClient::shake_hands(connection.tls.get())) {
    case TlsClient::Handshake::kDone:
      return ready(connection, now_us);
    case TlsClient::Handshake::kWantsRead:
      return watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    case TlsClient::Handshake::kWantsWrite:
      return watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
    case TlsClient::Handshake::kFailed:
      return end(connection, &Figures::refused_connections, now_us);
  }
}

void Worker::ready(Connection& connection, int64_t now_us) {
  watch(connection, EPOLL_CTL_MOD, EPOLLIN);
  connection.state = State::kIdle;
  last_up_us_ = now_us;
  idle_.push_back(&connection);
}

void Worker::send_due(int64_t now_us) {
  while (!idle_.empty() && may_send(now_us) && (interval_ns_ == 0 || next_due_ns_ <= now_us * 1000)) {
    Connection& connection = *idle_.back();
    idle_.pop_back();
    // At a given rate the clock runs from when the request was due: a gateway that stalls cannot hide it by slowing us
    // down.
    send_next(connection, interval_ns_ > 0 ? next_due_ns_ / 1000 : now_us, now_us);
    next_due_ns_ += interval_ns_;
  }
}

EventId Worker::choose_id(bool& repeat) {
  repeat = false;
  if (!again_.empty()) {
    const EventId id = again_.front();
    again_.pop_front();
    ++figures_.retries;
    return id;
  }
  if (options_.duplicates > 0 && !acked_ids_.empty() &&
      std::uniform_real_distribution<>()(random_) < options_.duplicates) {
    repeat = true;
    ++figures_.repeats;
    return acked_ids_[random_() % acked_ids_.size()];
  }
  const uint64_t high = random_();
  return {high, random_()};
}

void Worker::send_next(Connection& connection, int64_t begun_us, int64_t now_us) {
  connection.id = choose_id(connection.repeat);
  connection.state = State::kWaiting;
  connection.begun_us = begun_us;
  connection.sent_us = now_us;
  ++waiting_;
  ++figures_.requests;
  if (figures_.first_us == 0) figures_.first_us = now_us;
  const bool again = options_.fixed && figures_.requests > 1;
  write_out(connection, again ? source_->last() : source_->request(connection.id, wall_ms()), now_us);
}

void Worker::write_out(Connection& connection, std::string_view bytes, int64_t now_us) {
  const ssize_t n = connection.tls ? TlsClient::send(connection.tls.get(), bytes.data(), bytes.size())
                                   : send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n == static_cast<ssize_t>(bytes.size())) return;
  if (n < 0 && errno != EAGAIN) return end(connection, &Figures::broken, now_us);
  connection.out = bytes.substr(n < 0 ? 0 : static_cast<size_t>(n));
  watch(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

void Worker::handle(Connection& connection, uint32_t events) {
  if (connection.state == State::kConnecting) return opened(connection, now_us_);
  if (connection.state == State::kShakingHands) return shake_hands(connection, now_us_);
  if ((events & EPOLLOUT) != 0 && !connection.out.empty()) {
    const std::string rest = std::exchange(connection.out, {});
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    write_out(connection, rest, now_us_);
  }
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && connection.fd >= 0) read_in(connection);
}

void Worker::read_in(Connection& connection) {
  char buffer[16384];
  const ssize_t n = connection.tls ? TlsClient::receive(connection.tls.get(), buffer, sizeof buffer)
                                   : recv(connection.fd, buffer, sizeof buffer, 0);
  now_us_ = steady_us();
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return end(connection, &Figures::broken, now_us_);
  if (connection.state != State::kWaiting) return end(connection, &Figures::malformed, now_us_);  // nobody asked
  std::string_view bytes(buffer, static_cast<size_t>(n));
  if (!connection.in.empty()) bytes = connection.in.append(bytes);
  const ParsedResponse parsed = parse_response(bytes);
  if (parsed.state == ParsedResponse::State::kMalformed || (parsed.size != 0 && bytes.size() > parsed.size)) {
    return end(connection, &Figures::malformed, now_us_);
  }
  if (parsed.state == ParsedResponse::State::kIncomplete) {
    if (connection.in.empty()) connection.in = bytes;
    return;
  }
  answered(connection, parsed.status, parsed.body, now_us_);
  connection.in.clear();
  // A refusal may come before the whole request was taken: the rest of it is not worth sending.
  if (!parsed.keep_alive || !connection.out.empty()) return end(connection, nullptr, now_us_);
  if (interval_ns_ == 0 && may_send(now_us_)) return send_next(connection, now_us_, now_us_);
  connection.state = State::kIdle;
  idle_.push_back(&connection);
}

void Worker::answered(Connection& connection, int status, std::string_view body, int64_t now_us) {
  --waiting_;
  connection.state = State::kIdle;
  last_up_us_ = figures_.last_us = now_us;
  ++figures_.statuses[status];
  if (status < 200 || status > 299) return failed();
  ++figures_.acked;
  figures_.latency.record(static_cast<uint64_t>(std::max<int64_t>(now_us - connection.begun_us, 0)));
  if (body.find("duplicate_ignored") != std::string_view::npos) {
    ++figures_.duplicates;
  } else {
    ++figures_.queued;
  }
  if (connection.repeat) return;  // its id is in the journal already
  journal_.add(connection.id);
  if (options_.duplicates > 0) {
    if (acked_ids_.size() < kRememberedIds) {
      acked_ids_.push_back(connection.id);
    } else {
      acked_ids_[acked_at_++ % kRememberedIds] = connection.id;
    }
  }
}

// Ends a connection; `cause` counts when a request was under way (or the connection was only being made). Null: no
// fault.
void Worker::end(Connection& connection, uint64_t Figures::*cause, int64_t now_us) {
  const State was = connection.state;
  const bool was_coming = was == State::kConnecting || was == State::kShakingHands;
  connection.tls.reset();
  close(connection.fd);
  connection.fd = -1;
  connection.state = State::kDown;
  connection.in.clear();
  connection.out.clear();
  connection.retry_at_us = was_coming ? now_us + kReconnectUs : now_us;
  ++down_;
  if (was == State::kIdle) std::erase(idle_, &connection);
  if (was_coming) {
    ++figures_.refused_connections;
    if (options_.stop_on_error) shared_.stop = true;
    if (static_cast<double>(now_us - last_up_us_) > options_.give_up_s * 1e6) {
      figures_.failure = "nobody answers at " + options_.host + ":" + options_.port;
    }
  }
  if (was != State::kWaiting) return;
  --waiting_;
  ++(figures_.*cause);
  if (!connection.repeat) {
    if (options_.retry) {
      again_.push_back(connection.id);
    } else {
      unacked_.add(connection.id);
      ++figures_.unacked;
    }
  }
  failed();
}

void Worker::failed() {
  ++shared_.failures;
  if (options_.stop_on_error) shared_.stop = true;
}

void Worker::watch(Connection& connection, int operation, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  epoll_ctl(epoll_, operation, connection.fd, &event);
}

void Worker::check_timeouts(int64_t now_us) {
  if (now_us < next_check_us_) return;
  next_check_us_ = now_us + kCheckUs;
  const auto oldest = now_us - static_cast<int64_t>(options_.timeout_s * 1e6);
  for (auto& connection : connections_) {
    const bool busy = connection.state == State::kWaiting || connection.state == State::kConnecting ||
                      connection.state == State::kShakingHands;
    if (busy && connection.sent_us < oldest) end(connection, &Figures::timeouts, now_us);
  }
}

void Worker::wait(int64_t now_us) {
  if (interval_ns_ > 0 && !idle_.empty()) {
    // At high rates several together: to wake up for each costs more than to send it, and the gateway needs the processor.
    const int64_t at_ns = std::max(next_due_ns_, (now_us + kTickUs) * 1000);
    itimerspec at{};
    at.it_value.tv_sec = at_ns / 1'000'000'000;
    at.it_value.tv_nsec = at_ns % 1'000'000'000;
    timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
  }
  const auto most = down_ > 0 && may_send(now_us) ? kReconnectUs : kCheckUs;
  epoll_event events[256];
  const int n = epoll_wait(epoll_, events, std::size(events), static_cast<int>(most / 1000));
  now_us_ = steady_us();
  for (int i = 0; i < n; ++i) {
    auto* const connection = static_cast<Connection*>(events[i].data.ptr);
    if (connection == nullptr) {
      uint64_t expirations = 0;
      if (read(timer_, &expirations, sizeof expirations) < 0) continue;
    } else if (connection->fd >= 0) {
      handle(*connection, events[i].events);
    }
  }
}

}  // namespace postern::load
