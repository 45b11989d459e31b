// store:, dispatch:, dedupe:, health: and the policies that plugins and subscriptions may set as well.

#include "core/config/sections.h"

namespace postern::config {

namespace {

using namespace std::chrono_literals;
using std::chrono::days;

void read_retry(Section& section, Retry& retry) {
  Retry set = retry;
  section.count("attempts", set.attempts, Range<uint32_t>{1, 100});
  const bool has_base = section.duration("base", set.base, {1ms, days(365)});
  section.real("factor", set.factor, {1, 1000});
  const bool has_cap = section.duration("cap", set.cap, {1ms, days(365)});
  section.real("jitter", set.jitter, {0, 1});
  section.duration("postpone_for", set.postpone_for, {0ms, days(365)});
  const Member* base = section.find("base");
  const Member* cap = section.find("cap");
  const bool both_fine = has_base == (base != nullptr) && has_cap == (cap != nullptr);
  if (both_fine && (base || cap) && set.cap < set.base) {
    if (cap) {
      section.fault(cap->value->mark, "cap", "must not be less than base, set here or inherited");
    } else {
      section.fault(base->value->mark, "base", "must not be more than the cap that is inherited; set cap as well");
    }
  }
  retry = set;
}

// `none` stands for no bound.
bool is_none(Section& section, std::string_view key) {
  const Member* member = section.find(key);
  return member && member->value->kind == Kind::kScalar && member->value->text == "none";
}

void read_age(Section& retention, std::string_view key, milliseconds& out) {
  if (is_none(retention, key)) {
    out = 0ms;
  } else {
    retention.duration(key, out, {1min, days(36500)});
  }
}

void read_retention(Section& retention, Retention& out) {
  read_age(retention, "age", out.age);
  read_age(retention, "dead", out.dead);
  if (is_none(retention, "size")) {
    out.size = 0;
  } else {
    retention.size("size", out.size, {1 << 20, 1ull << 50});
  }
}

}  // namespace

void read_policies(Section& section, Policies& policies) {
  section.section("retry", [&](Section& retry) {
    read_retry(retry, policies.retry);
    policies.retry_is_own = true;
  });
  section.section("breaker", [&](Section& breaker) {
    breaker.count("failures", policies.breaker.failures, Range<uint32_t>{1, 1000000});
    breaker.duration("open_for", policies.breaker.open_for, {1ms, days(1)});
  });
  if (section.duration("deadline", policies.deadline, {1ms, days(1)})) policies.deadline_is_own = true;
  section.count("crash_attempts", policies.crash_attempts, Range<uint32_t>{1, 100});
}

void read_quarantine(Section& section, Quarantine& out) {
  section.section("quarantine", [&](Section& quarantine) {
    quarantine.count("crashes", out.crashes, Range<uint32_t>{1, 1000});
    quarantine.duration("within", out.within, {1s, days(365)});
    quarantine.duration("for", out.lasts, {1s, days(365)});
  });
}

void read_store(Section& store, Config& config) {
  std::string kind = "sqlite";
  store.choice("kind", kind, {"sqlite", "postgres"});
  if (kind == "postgres")
    store.fault(store.find("kind")->value->mark, "kind", "PostgreSQL comes with a later version; use sqlite");
  store.text("path", config.store_path);
  store.section("retention", [&](Section& retention) { read_retention(retention, config.retention); });
}

void read_dispatch(Section& dispatch, Config& config) {
  dispatch.count("workers", config.workers, Range<uint32_t>{1, 1024});
  dispatch.count("max_backlog", config.max_backlog, Range<uint64_t>{1, 1000000000000});
  dispatch.duration("drain", config.drain, {0ms, 1h});
  read_policies(dispatch, config.policies);
  config.policies.retry_is_own = config.policies.deadline_is_own = false;
  read_quarantine(dispatch, config.quarantine);
}

bool read_dedupe(Section& dedupe, milliseconds& window) { return dedupe.duration("window", window, {1min, days(365)}); }

void read_health(Section& health, Config& config) {
  health.count("max_waiting", config.health.max_waiting, Range<uint64_t>{1, 1000000000000});
  health.real("min_success", config.health.min_success, {0, 1});
  health.duration("window", config.health.window, {1s, days(1)});
}

}  // namespace postern::config
