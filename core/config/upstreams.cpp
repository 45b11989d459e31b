// upstreams: of a plugin — what the operator sets on those whom the plugin calls.

#include "core/config/sections.h"

namespace postern::config {

namespace {

using namespace std::chrono_literals;
using std::chrono::days;

// As the client bounds what a plugin may set.
constexpr Range<milliseconds> kSpan{1ms, days(1)};
constexpr uint64_t kLargestResponse = 64ull << 20;

void set_count(Section& section, std::string_view key, std::optional<uint32_t>& out, Range<uint32_t> range) {
  uint32_t value = 0;
  if (section.count(key, value, range)) out = value;
}

void set_duration(Section& section, std::string_view key, std::optional<milliseconds>& out) {
  milliseconds value{0};
  if (section.duration(key, value, kSpan)) out = value;
}

void read_allow_hosts(Section& section, std::optional<std::vector<AllowedHost>>& out) {
  const Member* member = section.find("allow_hosts");
  if (member == nullptr) return;
  std::vector<AllowedHost> hosts;
  section.list("allow_hosts", [&](const Node& node, const std::string& what) {
    if (std::optional<std::string> pattern = read_text(section.context(), node, what)) hosts.push_back({std::move(*pattern), node.mark});
  });
  if (member->value->kind == Kind::kSequence) out = std::move(hosts);
}

}  // namespace

UpstreamOverride read_upstream(Section& section, const Member& member) {
  UpstreamOverride upstream;
  upstream.name = member.key;
  upstream.mark = member.mark;
  section.section("retry", [&](Section& retry) {
    set_count(retry, "attempts", upstream.attempts, {1, 100});
    set_duration(retry, "base", upstream.base);
    set_duration(retry, "cap", upstream.cap);
  });
  section.section("breaker", [&](Section& breaker) {
    set_count(breaker, "failures", upstream.failures, {1, 1'000'000});
    set_duration(breaker, "open_for", upstream.open_for);
  });
  set_duration(section, "deadline", upstream.deadline);
  set_count(section, "max_in_flight", upstream.max_in_flight, {1, 1000});
  uint64_t max_response = 0;
  if (section.size("max_response", max_response, {1, kLargestResponse})) upstream.max_response = max_response;
  read_allow_hosts(section, upstream.allow_hosts);
  return upstream;
}

}  // namespace postern::config
