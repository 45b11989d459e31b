#include "transport.h"

#include <algorithm>
#include <utility>

namespace smtp {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kKeepIdle{20'000};  // a server gives up idle connections itself, some after half a minute
constexpr int kRemembered = 16;  // mails that count for how long one takes

// It costs no attempt: the server is not to blame, nor the mail.
Outcome untried(std::string why, const Message& message, milliseconds again_after = milliseconds(0)) {
  Outcome outcome = same_for_all(Class::kTransient, std::move(why), message.recipients());
  outcome.untried = true;
  outcome.again_after = again_after;
  return outcome;
}

}  // namespace

Transport::Transport(Server server) : server_(std::move(server)), clean_(server_) {
  for (size_t i = 0; i < std::max<size_t>(1, server_.connections); ++i) lanes_.push_back(std::make_unique<Lane>(server_, clean_, halt_));
  try {
    for (auto& lane : lanes_) threads_.emplace_back([this, &lane] { run(*lane); });
  } catch (...) {
    close(milliseconds(0));
    throw;
  }
}

Transport::~Transport() { close(milliseconds(0)); }

void Transport::submit(std::shared_ptr<const Message> message, Callback callback, uint64_t beside) {
  const uint64_t bytes = cost(*message) + beside;
  Job job{std::move(message), std::move(callback), steady_clock::now() + server_.deadline, bytes};
  const char* why = nullptr;
  milliseconds again_after{0};
  {
    const std::lock_guard lock(mutex_);
    const bool full = jobs_.size() >= kMaxWaiting || (!jobs_.empty() && waiting_bytes_ + bytes > kMaxWaitingBytes);
    if (closing_) {
      why = "not sent: the gateway is being stopped";
    } else if (full) {
      why = "not sent: too many mails wait for the mail server";
      again_after = next_turn();
    } else {
      waiting_bytes_ += bytes;
      jobs_.push_back(std::move(job));
    }
  }
  if (why != nullptr) return end(job, untried(why, *job.message, again_after));
  changed_.notify_one();
}

// The first when half of the line is through, so that it does not run dry, each further one a mail later: they shall not come back all at
// once, to be told again that there is no room.
milliseconds Transport::next_turn() {
  const auto one = mail_time_ / static_cast<int64_t>(lanes_.size());
  const SteadyTime now = steady_clock::now();
  last_turn_ = std::min(std::max(last_turn_, now + one * static_cast<int64_t>(jobs_.size() / 2)) + one, now + kLongestWish);
  return std::chrono::ceil<milliseconds>(last_turn_ - now);
}

void Transport::close(milliseconds drain) {
  std::deque<Job> left;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    left.swap(jobs_);
    waiting_bytes_ = 0;
    const auto at = steady_clock::now() + drain;
    halt_.at_ms = std::min<int64_t>(halt_.at_ms, duration_cast<milliseconds>(at.time_since_epoch()).count());
  }
  changed_.notify_all();
  for (auto& lane : lanes_) lane->wake();
  for (Job& job : left) end(job, untried("not sent: the gateway is being stopped", *job.message));
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

size_t Transport::waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void Transport::run(Lane& lane) {
  while (auto job = take(lane)) {
    if (auto outcome = held(*job->message)) {
      end(*job, *outcome);
      continue;
    }
    const SteadyTime begun = steady_clock::now();
    const Outcome outcome = lane.send(*job->message, job->deadline, [this] { drop_overdue(); });
    note(outcome, steady_clock::now() - begun);
    end(*job, outcome);
  }
  lane.close_connection();
}

// Nothing when it is time to end.
std::optional<Transport::Job> Transport::take(Lane& lane) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return closing_ || !jobs_.empty(); };
  while (!ready()) {
    if (!lane.connected()) {
      changed_.wait(lock, ready);
    } else if (!changed_.wait_for(lock, kKeepIdle, ready)) {
      lock.unlock();
      lane.close_connection();
      lock.lock();
    }
  }
  if (jobs_.empty()) return std::nullopt;
  return pop();
}

Transport::Job Transport::pop() {
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  waiting_bytes_ -= job.cost;
  return job;
}

uint64_t Transport::cost(const Message& message) { return message.in_memory() ? message.size() : 1u << 20; }

// Each connection may be busy for long: whoever is looks after those in line.
void Transport::drop_overdue() {
  std::vector<std::pair<Job, milliseconds>> overdue;
  {
    const std::lock_guard lock(mutex_);
    const SteadyTime now = steady_clock::now();
    while (!jobs_.empty() && jobs_.front().deadline <= now) overdue.emplace_back(pop(), next_turn());
  }
  for (auto& [job, again_after] : overdue)
    end(job, untried("not sent: no connection was free before its deadline", *job.message, again_after));
}

void Transport::note(const Outcome& outcome, SteadyTime::duration took) {
  const std::lock_guard lock(mutex_);
  mail_time_ += (duration_cast<std::chrono::microseconds>(took) - mail_time_) / kRemembered;
  if (outcome.result != Class::kAuth && outcome.result != Class::kTls) return;
  held_class_ = outcome.result;
  held_text_ = outcome.text;
  held_until_ = steady_clock::now() + server_.hold;
}

std::optional<Outcome> Transport::held(const Message& message) const {
  const std::lock_guard lock(mutex_);
  if (steady_clock::now() >= held_until_) return std::nullopt;
  Outcome outcome = same_for_all(held_class_, held_text_, message.recipients());
  outcome.untried = true;
  outcome.again_after = server_.hold;
  return outcome;
}

// What somebody throws in a callback is lost: there is nobody left to hear it.
void Transport::end(Job& job, const Outcome& outcome) {
  const Callback callback = std::exchange(job.callback, nullptr);
  try {
    callback(outcome);
  } catch (...) {
  }
}

}  // namespace smtp
