// Events that the plugin publishes by itself: they are durable, handled and told of when the test says so. `publish` of the table of
// postern.events.
#include <algorithm>

#include "host_state.h"
#include "json_check.h"

namespace postern::testing {
namespace {

constexpr size_t kMaxType = 200, kMaxId = 1024, kMaxBytes = 4 * 1024 * 1024, kMaxWaiting = 10'000;
constexpr uint32_t kMaxWaitMs = 3'600'000;

bool is_line(const std::string& text, size_t most) {
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return text.size() <= most && std::none_of(text.begin(), text.end(), is_control);
}

std::string fault_of(const PublishedEvent& event) {
  if (event.type.empty() || !is_line(event.type, kMaxType)) return "its type is not one line of 1 to 200 bytes";
  if (!is_json(event.body)) return "its body is not JSON";
  if (!is_line(event.order_key, kMaxId)) return "its order key is not one line of at most 1024 bytes";
  if (!is_line(event.external_id, kMaxId)) return "its external id is not one line of at most 1024 bytes";
  if (event.wait_ms > kMaxWaitMs) return "it waits for more than an hour";
  return {};
}

}  // namespace

postern_status publish_event(postern_host* handle, const postern_publish_desc* theirs, postern_publish_callback callback, void* user) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  auto refuse = [&](postern_status status, std::string why) {
    host.errors[std::this_thread::get_id()] = "publish: " + why;
    return status;
  };
  if (host.phase == Phase::kStopped) host.misuses.push_back("publish() after the plugin was destroyed");
  if (host.phase == Phase::kStopped || host.timers_ended) return POSTERN_E_GONE;
  if (host.phase != Phase::kReady) return refuse(POSTERN_E_STATE, "from activate on");
  postern_publish_desc d = read_sized(theirs);
  if (d.body.len + d.type.len > kMaxBytes) return refuse(POSTERN_E_LIMIT, "more than 4 MiB");
  PublishedEvent event{to_string(d.type), to_string(d.body), to_string(d.order_key), to_string(d.external_id), d.wait_ms, {}};
  if (std::string fault = fault_of(event); !fault.empty()) return refuse(POSTERN_E_INVALID, fault);
  auto waiting = std::count_if(host.published.begin(), host.published.end(), [](const auto& p) { return !p.ended; });
  if (static_cast<size_t>(waiting) >= kMaxWaiting) return refuse(POSTERN_E_LIMIT, "10000 callbacks are outstanding");
  PublishedState state{std::move(event), callback, user, false, false, {}};
  if (!host.publish_refusals.empty()) {
    state.refusal = std::move(host.publish_refusals.front());
    host.publish_refusals.pop_front();
  } else {
    auto same = [&](const PublishedState& p) { return !p.event.event_id.empty() && p.event.external_id == state.event.external_id; };
    auto first = std::find_if(host.published.begin(), host.published.end(), same);
    state.duplicate = !state.event.external_id.empty() && first != host.published.end();
    state.event.event_id = state.duplicate ? first->event.event_id : "evt_published_" + std::to_string(host.published.size() + 1);
  }
  host.published.push_back(std::move(state));
  return POSTERN_OK;
}

// On the calling thread. The strings are a block of their own, so that views which are kept are seen by a sanitizer.
void HostState::tell_published(PublishedState& published, const Settled* settled, const std::string& why) {
  if (published.callback == nullptr) return;
  struct Lent {
    std::string event_id, result, error;
  };
  auto lent = std::make_unique<Lent>(Lent{published.event.event_id, {}, why});
  bool done = settled != nullptr && settled->done();
  if (done) lent->result = settled->result;
  if (published.refusal) lent->error = *published.refusal;
  postern_published theirs{};
  theirs.struct_size = sizeof theirs;
  theirs.status = published.refusal ? POSTERN_RETRY : POSTERN_OK;
  theirs.duplicate = published.duplicate ? 1 : 0;
  theirs.settled = done ? 1 : 0;
  theirs.event_id = to_abi(lent->event_id);
  theirs.result = to_abi(lent->result);
  theirs.error = to_abi(lent->error);
  published.callback(instance, published.user, &theirs);
}

std::vector<PublishedEvent> FakeHost::published() const {
  std::lock_guard lock(state_->mutex);
  std::vector<PublishedEvent> list;
  for (const PublishedState& published : state_->published) list.push_back(published.event);
  return list;
}

void FakeHost::refuse_published(std::string why) {
  std::lock_guard lock(state_->mutex);
  state_->publish_refusals.push_back(std::move(why));
}

std::vector<Settled> FakeHost::run_published() {
  HostState& s = *state_;
  std::vector<Settled> all;
  while (true) {
    PublishedState* next = nullptr;
    {
      std::lock_guard lock(s.mutex);
      if (s.instance == nullptr) return all;
      auto found = std::find_if(s.published.begin(), s.published.end(), [](const auto& p) { return !p.ended; });
      if (found == s.published.end()) return all;
      next = &*found;  // a deque: it stays where it is
      next->ended = true;
    }
    bool stored = !next->refusal && !next->duplicate;
    if (!stored || next->event.wait_ms == 0) s.tell_published(*next, nullptr, "");
    if (!stored) continue;
    Event event;
    event.type = next->event.type;  // as given
    event.body = next->event.body;
    event.order_key = next->event.order_key;
    event.id = next->event.event_id;
    event.external_id = next->event.external_id;
    event.provider = s.options.name;
    event.method = event.target = event.remote = "";
    Settled settled = deliver_as_it_is(std::move(event), true);
    bool waits = next->event.wait_ms > 0;
    if (waits) s.tell_published(*next, &settled, !settled.handled || settled.done() ? "" : "not done in time: " + settled.why);
    if (settled.handled) all.push_back(std::move(settled));
  }
}

void FakeHost::end_published() {
  HostState& s = *state_;
  for (size_t i = 0;; ++i) {
    PublishedState* next = nullptr;
    {
      std::lock_guard lock(s.mutex);
      if (i >= s.published.size()) return;
      next = &s.published[i];
      if (std::exchange(next->ended, true)) continue;
    }
    bool waited = next->event.wait_ms > 0 && !next->duplicate && !next->refusal;
    s.tell_published(*next, nullptr, waited ? "the plugin is about to end" : "");
  }
}

}  // namespace postern::testing
