#include "health_probe.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "model_events.h"
#include "session_update.h"

namespace openai_realtime {
namespace {

using postern::Health;
using postern::MessageKind;
using postern::Session;
using postern::SessionEnd;

constexpr std::chrono::milliseconds kConnect{5'000}, kWait{7'000};

// What the session's thread tells the one that waits.
struct Verdict {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Health> health;

  void set(Health::State state, std::string message) {
    const std::lock_guard lock(mutex);
    if (!health) health = Health{state, std::move(message), {}};
    changed.notify_all();
  }
};

class Probe final : public postern::SessionHandler {
 public:
  explicit Probe(std::shared_ptr<Verdict> verdict) : verdict_(std::move(verdict)) {}

  void message(Session& session, MessageKind, std::string_view text) override {
    const auto event = read_model_event(text);
    if (event && event->kind == ModelEvent::Kind::kSessionCreated) verdict_->set(Health::kHealthy, "a session was opened");
    if (event && event->kind == ModelEvent::Kind::kError) verdict_->set(Health::kUnhealthy, "it reports " + read_error(*event).code);
    session.close();
  }
  void ended(Session&, const SessionEnd& end) override {
    if (end.http_status == 401 || end.http_status == 403) return verdict_->set(Health::kUnhealthy, "the API key is refused: check config.api_key");
    verdict_->set(Health::kUnhealthy, end.http_status >= 300 ? "it answers " + std::to_string(end.http_status) : "no session: " + std::string(end.reason));
  }

 private:
  const std::shared_ptr<Verdict> verdict_;
};

}  // namespace

Health probe(const Config& config, const postern::Sessions& sessions) {
  auto verdict = std::make_shared<Verdict>();
  const std::string url = model_url(config, {});
  try {
    sessions.connect({.url = url, .headers = session_headers(config), .ca_file = config.ca_file, .proxy = config.proxy, .connect = kConnect},
                     std::make_unique<Probe>(verdict));
  } catch (const postern::Error& error) {
    return {Health::kUnhealthy, error.what(), {}};
  }
  std::unique_lock lock(verdict->mutex);
  verdict->changed.wait_for(lock, kWait, [&] { return verdict->health.has_value(); });
  return verdict->health.value_or(Health{Health::kUnhealthy, "it says nothing", {}});
}

}  // namespace openai_realtime
