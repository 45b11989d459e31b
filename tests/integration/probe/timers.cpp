// Probe's timers; probe.cpp says what it is asked.
#include <chrono>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

#include "probe.h"

namespace probe {
namespace {

// What a timer in memory was started for.
struct Started {
  std::string file;  // that it makes; empty: it completes the delivery
  bool throws = false;
  postern_delivery* delivery = nullptr;
};

postern_status on_timer(postern_instance* self, void* user) {
  const auto* started = static_cast<const Started*>(user);
  if (started->throws) throw std::runtime_error("a callback was asked to throw");
  if (started->delivery != nullptr) {
    self->events->set_result(started->delivery, str(R"({"by":"timer"})"));
    return self->events->complete(started->delivery, POSTERN_OK, str(""));
  }
  std::ofstream(started->file) << "fired";
  return POSTERN_OK;
}

int64_t delay_of(std::string_view body) {
  const std::string ms = member(body, "ms");
  return ms.empty() ? 0 : std::stoll(ms);
}

}  // namespace

postern_status add_timers(postern_instance* self) { return self->timers->declare(self->host, str("probe.timer")); }

// Its event says what its handler shall do, as any other one.
postern_status set_timer(postern_instance* self, postern_delivery* delivery, std::string_view body) {
  const std::string name = member(body, "timer"), type = member(body, "timer_type"), size = member(body, "size");
  std::string then = R"({"id":"fired )" + name + R"(","do":"done","record":")" + member(body, "record") + "\"}";
  if (!size.empty()) then.resize(std::stoull(size), ' ');
  postern_timer_desc timer{};
  timer.struct_size = sizeof timer;
  timer.name = str(name);
  timer.type = type.empty() ? str("probe.timer") : str(type);
  timer.body = str(then);
  timer.delay_ms = delay_of(body);
  return self->timers->set(self->host, delivery, &timer);
}

postern_status start_timer(postern_instance* self, postern_delivery* delivery, std::string_view body, bool pending) {
  auto started = std::make_shared<Started>();
  started->file = member(body, "file");
  started->throws = member(body, "throw") == "yes";
  if (pending) started->delivery = delivery;
  {
    const std::lock_guard<std::mutex> lock(self->mutex);
    self->timers_started.push_back(started);
  }
  uint64_t timer = 0;
  const postern_status status = self->timers->start(self->host, delay_of(body), on_timer, started.get(), &timer);
  if (status != POSTERN_OK) return status;
  return member(body, "cancel") == "yes" ? self->timers->cancel(self->host, timer) : POSTERN_OK;
}

}  // namespace probe
