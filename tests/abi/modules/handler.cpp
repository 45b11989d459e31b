// Handlers that misbehave, one for each type of event; and health checks that do.
#include "module.h"

#include <stdexcept>
#include <string>

namespace {

const postern_ext_events& events_of(postern_instance* self) { return extension<postern_ext_events>(self, POSTERN_EXT_EVENTS); }
const postern_ext_records& records_of(postern_instance* self) { return extension<postern_ext_records>(self, POSTERN_EXT_RECORDS); }

// Tells the test what the host answered.
postern_status tell(postern_instance* self, const std::string& text) {
  self->api->set_error(self->host, str(text));
  return POSTERN_DEAD;
}

postern_status throws(postern_instance*, void*, postern_delivery*) { throw std::runtime_error("index 7 of 3"); }
postern_status throws_int(postern_instance*, void*, postern_delivery*) { throw 7; }
postern_status unknown_status(postern_instance*, void*, postern_delivery*) { return 4711; }
postern_status unknown_failure(postern_instance*, void*, postern_delivery*) { return -4711; }
postern_status silent_retry(postern_instance*, void*, postern_delivery*) { return POSTERN_RETRY; }
postern_status postpones(postern_instance* self, void*, postern_delivery*) {
  self->api->set_error(self->host, str("the breaker is open"));
  return POSTERN_POSTPONE;
}
postern_status completes_as_postponed(postern_instance* self, void*, postern_delivery* delivery) {
  events_of(self).complete(delivery, POSTERN_POSTPONE, str("the breaker is open"));
  return POSTERN_PENDING;
}
postern_status stale_error(postern_instance* self, void*, postern_delivery*) {
  self->api->set_error(self->host, str("left over"));
  return POSTERN_OK;
}

// Both before the handler returns, while the handle is certain to live.
postern_status completes_twice(postern_instance* self, void*, postern_delivery* delivery) {
  if (events_of(self).complete(delivery, POSTERN_OK, str("")) != POSTERN_OK) return POSTERN_OK;
  if (events_of(self).complete(delivery, POSTERN_DEAD, str("second thoughts")) != POSTERN_E_GONE) return POSTERN_OK;
  return POSTERN_PENDING;
}

postern_status effects_after_complete(postern_instance* self, void*, postern_delivery* delivery) {
  events_of(self).complete(delivery, POSTERN_OK, str(""));
  postern_status emitted = events_of(self).emit(delivery, str("late"), str("{}"));
  postern_status put = records_of(self).put(delivery, str("c"), str("k"), str("1"), POSTERN_RECORD_ANY);
  postern_status result = events_of(self).set_result(delivery, str("{}"));
  return tell(self, std::to_string(emitted) + " " + std::to_string(put) + " " + std::to_string(result));
}

// A delivery cannot be completed as "pending"; it lives on, to be ended in another way.
postern_status completes_as_pending(postern_instance* self, void*, postern_delivery* delivery) {
  return tell(self, std::to_string(events_of(self).complete(delivery, POSTERN_PENDING, str(""))));
}

postern_status invalid_json(postern_instance* self, void*, postern_delivery* delivery) {
  std::string answers;
  for (std::string_view text : {std::string_view(""), std::string_view("{"), std::string_view("{} x"), std::string_view("\"\xff\"")}) {
    answers += std::to_string(records_of(self).put(delivery, str("c"), str("k"), str(text), POSTERN_RECORD_ANY));
    answers += std::to_string(events_of(self).emit(delivery, str("t"), str(text)));
    answers += std::to_string(events_of(self).set_result(delivery, str(text)));
  }
  return tell(self, answers);
}

postern_status bad_names(postern_instance* self, void*, postern_delivery* delivery) {
  const std::string endless(1025, 'k');
  std::string answers;
  for (std::string_view name : {std::string_view(""), std::string_view(endless), std::string_view("a\0b", 3)}) {
    postern_str json;
    uint64_t version;
    answers += std::to_string(records_of(self).put(delivery, str("c"), str(name), str("1"), POSTERN_RECORD_ANY));
    answers += std::to_string(records_of(self).put(delivery, str(name), str("k"), str("1"), POSTERN_RECORD_ANY));
    answers += std::to_string(records_of(self).get(delivery, str(name), str("k"), &json, &version));
  }
  answers += std::to_string(events_of(self).emit(delivery, str(""), str("{}")));
  return tell(self, answers);
}

postern_status oversized(postern_instance* self, void*, postern_delivery* delivery) {
  const std::string large = '"' + std::string(3 << 20, 'x') + '"';
  postern_status first = records_of(self).put(delivery, str("c"), str("k"), str(large), POSTERN_RECORD_ANY);
  postern_status second = records_of(self).put(delivery, str("c"), str("k"), str(large), POSTERN_RECORD_ANY);
  postern_status third = events_of(self).emit(delivery, str("t"), str(large));
  return tell(self, std::to_string(first) + " " + std::to_string(second) + " " + std::to_string(third));
}

postern_status endless_effects(postern_instance* self, void*, postern_delivery* delivery) {
  int taken = 0;
  postern_status last = POSTERN_OK;
  for (; last == POSTERN_OK && taken < 1'000'000; taken += last == POSTERN_OK) last = events_of(self).emit(delivery, str("t"), str("{}"));
  return tell(self, std::to_string(taken) + " then " + std::to_string(last));
}

postern_status emits(postern_instance* self, void*, postern_delivery* delivery) {
  return tell(self, std::to_string(events_of(self).emit(delivery, str("t"), str("{}"))));
}

postern_status check_throws(postern_instance*, void*, postern_health_report*) { throw std::runtime_error("no route to host"); }
postern_status check_fails(postern_instance* self, void*, postern_health_report*) {
  self->api->set_error(self->host, str("the account is closed"));
  return POSTERN_E_DENIED;
}
postern_status check_odd(postern_instance* self, void*, postern_health_report* report) {
  const auto& health = extension<postern_ext_health>(self, POSTERN_EXT_HEALTH);
  std::string answers = std::to_string(health.report(report, 0, str("m"), str("{}")));
  answers += std::to_string(health.report(report, 5, str("m"), str("{}")));
  answers += std::to_string(health.report(report, POSTERN_HEALTHY, str("m"), str("{")));
  answers += std::to_string(health.report(report, POSTERN_HEALTHY, str("m"), str("[1]")));
  self->api->set_error(self->host, str(answers));
  return POSTERN_E_INVALID;
}

constexpr struct {
  std::string_view type;
  postern_event_handler function;
} kHandlers[] = {
    {"throws", throws},
    {"throws_int", throws_int},
    {"unknown_status", unknown_status},
    {"unknown_failure", unknown_failure},
    {"silent_retry", silent_retry},
    {"postpones", postpones},
    {"completes_as_postponed", completes_as_postponed},
    {"stale_error", stale_error},
    {"completes_twice", completes_twice},
    {"effects_after_complete", effects_after_complete},
    {"completes_as_pending", completes_as_pending},
    {"invalid_json", invalid_json},
    {"bad_names", bad_names},
    {"oversized", oversized},
    {"endless_effects", endless_effects},
    {"emits", emits},
};

postern_status init(postern_instance* self, postern_str) {
  for (const auto& handler : kHandlers) {
    if (events_of(self).on(self->host, str(handler.type), handler.function, nullptr) < 0) return POSTERN_E_INTERNAL;
  }
  if (events_of(self).on_subscription(self->host, emits, nullptr) < 0) return POSTERN_E_INTERNAL;
  const auto& health = extension<postern_ext_health>(self, POSTERN_EXT_HEALTH);
  health.add(self->host, str("throws"), 0, check_throws, nullptr);
  health.add(self->host, str("fails"), 0, check_fails, nullptr);
  return health.add(self->host, str("odd"), 0, check_odd, nullptr);
}

}  // namespace

ABI_MODULE(.init = init)
