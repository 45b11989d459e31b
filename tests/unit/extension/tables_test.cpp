// The host's tables as a plugin sees them: complete, closed after init, bounded.
#include "core/extension/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <postern/ext/events.h>
#include <postern/ext/health.h>
#include <postern/ext/http.h>
#include <postern/ext/log.h>
#include <postern/ext/metrics.h>
#include <postern/ext/records.h>
#include <postern/ext/routes.h>
#include <postern/ext/schemes.h>
#include <postern/ext/timers.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/base/log.h"
#include "core/extension/handles.h"
#include "core/plugin/host.h"

namespace postern::extension {
namespace {

using ::testing::HasSubstr;
using Phase = postern_host::Phase;

postern_str str(std::string_view text) { return {text.data(), text.size()}; }

struct Known {
  const char* id;
  size_t size;
};
constexpr Known kKnown[] = {
    {POSTERN_EXT_SCHEMES, sizeof(postern_ext_schemes)}, {POSTERN_EXT_ROUTES, sizeof(postern_ext_routes)},
    {POSTERN_EXT_EVENTS, sizeof(postern_ext_events)},   {POSTERN_EXT_RECORDS, sizeof(postern_ext_records)},
    {POSTERN_EXT_HTTP, sizeof(postern_ext_http)},       {POSTERN_EXT_LOG, sizeof(postern_ext_log)},
    {POSTERN_EXT_HEALTH, sizeof(postern_ext_health)},   {POSTERN_EXT_METRICS, sizeof(postern_ext_metrics)},
    {POSTERN_EXT_TIMERS, sizeof(postern_ext_timers)},
};

template <typename Extension>
const Extension& table(const char* id) {
  return *static_cast<const Extension*>(host_api().get_extension(nullptr, str(id)));
}

// Every member of a table is a function, so none may be null.
TEST(Tables, AreComplete) {
  for (const Known& known : kKnown) {
    const void* found = host_api().get_extension(nullptr, str(known.id));
    ASSERT_NE(found, nullptr) << known.id;
    ASSERT_EQ(known.size % sizeof(void*), 0u);
    for (size_t i = 0; i < known.size / sizeof(void*); ++i) {
      void* function = nullptr;
      std::memcpy(&function, static_cast<const char*>(found) + i * sizeof function, sizeof function);
      EXPECT_NE(function, nullptr) << known.id << ", member " << i;
    }
    EXPECT_EQ(host_api().get_extension(nullptr, str(known.id)), found) << "valid until destroy";
    EXPECT_TRUE(has_extension(known.id));
  }
}

TEST(Tables, AreThereOnlyUnderTheirOwnName) {
  for (std::string_view id : {"", "postern.events", "postern.events/2", "postern.events/", "postern.events/11", "Postern.events/1",
                              " postern.events/1", "postern.crystal_ball/1"}) {
    EXPECT_EQ(host_api().get_extension(nullptr, str(id)), nullptr) << id;
    EXPECT_FALSE(has_extension(id)) << id;
  }
  EXPECT_EQ(host_api().get_extension(nullptr, str(std::string_view("postern.log/1\0", 14))), nullptr);
  EXPECT_EQ(host_api().get_extension(nullptr, {nullptr, 0}), nullptr);
}

TEST(Tables, TellWhoTheHostIs) {
  const postern_host_api& api = host_api();
  EXPECT_EQ(api.struct_size, sizeof api);
  EXPECT_EQ(api.abi_major, POSTERN_ABI_MAJOR);
  EXPECT_EQ(api.abi_minor, POSTERN_ABI_MINOR);
  EXPECT_EQ(std::string(api.name.ptr, api.name.len), "postern");
  EXPECT_GT(api.version.len, 0u);
  EXPECT_NE(api.set_error, nullptr);
  EXPECT_NE(api.config_fault, nullptr);
}

// ---- registrations

postern_status handler(postern_instance*, void*, postern_delivery*) { return POSTERN_OK; }
postern_status check(postern_instance*, void*, postern_health_report*) { return POSTERN_OK; }

postern_route_desc route_desc(std::string_view path) {
  postern_route_desc desc{};
  desc.struct_size = sizeof desc;
  desc.kind = POSTERN_ROUTE_EVENT;
  desc.method = str("POST");
  desc.path = str(path);
  desc.flags = POSTERN_ROUTE_UNSIGNED;
  return desc;
}

// Each registration once; the answers.
std::vector<postern_status> register_all(postern_host& host) {
  postern_route_desc route = route_desc("/hook");
  postern_sample_desc sample{};
  sample.struct_size = sizeof sample;
  sample.name = str("sample");
  sample.method = str("POST");
  sample.target = str("/hook");
  postern_str secret = str("secret");
  postern_scheme_desc scheme{};
  scheme.struct_size = sizeof scheme;
  scheme.algorithm = POSTERN_HMAC_SHA256;
  scheme.name = str("s");
  scheme.header = str("x-signature");
  scheme.signed_bytes = str("{body}");
  scheme.signature_encoding = POSTERN_ENCODING_HEX;
  scheme.secret_encoding = POSTERN_SECRET_RAW;
  scheme.secrets = &secret;
  scheme.secrets_len = 1;
  const auto& routes = table<postern_ext_routes>(POSTERN_EXT_ROUTES);
  const auto& events = table<postern_ext_events>(POSTERN_EXT_EVENTS);
  return {table<postern_ext_schemes>(POSTERN_EXT_SCHEMES).add(&host, &scheme),
          routes.add(&host, &route),
          routes.add_sample(&host, &sample),
          events.on(&host, str("*"), handler, nullptr),
          events.on_subscription(&host, handler, nullptr),
          events.subscribe(&host, str("mine"), str("other.*"), handler, nullptr),
          table<postern_ext_health>(POSTERN_EXT_HEALTH).add(&host, str("h"), 0, check, nullptr)};
}

TEST(Registrations, AreTakenInInitAlone) {
  for (Phase phase : {Phase::kCreated, Phase::kInit, Phase::kReady, Phase::kActive, Phase::kDown}) {
    postern_host host;
    host.name = "p";
    host.phase = phase;
    EXPECT_THAT(register_all(host), ::testing::Each(phase == Phase::kInit ? POSTERN_OK : POSTERN_E_STATE)) << static_cast<int>(phase);
    EXPECT_EQ(host.registrations.routes.size(), phase == Phase::kInit ? 1u : 0u);
    EXPECT_EQ(host.registrations.handlers.size(), phase == Phase::kInit ? 1u : 0u);
    host_api().config_fault(&host, str("/a"), str("text"));
    EXPECT_EQ(host.registrations.faults.size(), phase == Phase::kInit ? 1u : 0u);
  }
}

TEST(Registrations, BorrowNothing) {
  postern_host host;
  host.name = "p";
  host.phase = Phase::kInit;
  std::string path = "/first", glob = "first.*", name = "first", pointer = "/first";
  postern_route_desc route = route_desc(path);
  ASSERT_EQ(table<postern_ext_routes>(POSTERN_EXT_ROUTES).add(&host, &route), POSTERN_OK);
  table<postern_ext_events>(POSTERN_EXT_EVENTS).on(&host, str(glob), handler, nullptr);
  table<postern_ext_health>(POSTERN_EXT_HEALTH).add(&host, str(name), 5, check, nullptr);
  host_api().config_fault(&host, str(pointer), str(name));
  for (std::string* text : {&path, &glob, &name, &pointer}) text->assign(text->size(), '#');
  EXPECT_EQ(host.registrations.routes.at(0).path, "/first");
  EXPECT_EQ(host.registrations.routes.at(0).provider, "p");
  EXPECT_EQ(host.registrations.handlers.at(0).glob, "first.*");
  EXPECT_EQ(host.registrations.health_checks.at(0).name, "first");
  EXPECT_EQ(host.registrations.faults.at(0).pointer, "/first");
}

TEST(Registrations, KeepNothingOfWhatIsRefused) {
  postern_host host;
  host.name = "p";
  host.phase = Phase::kInit;
  postern_route_desc route = route_desc("/hook");
  route.required = str("json:/a, nonsense");
  EXPECT_EQ(table<postern_ext_routes>(POSTERN_EXT_ROUTES).add(&host, &route), POSTERN_E_INVALID);
  EXPECT_TRUE(host.registrations.routes.empty());
  route.required = str("json:/a, header:b");
  EXPECT_EQ(table<postern_ext_routes>(POSTERN_EXT_ROUTES).add(&host, &route), POSTERN_OK);
  EXPECT_EQ(host.registrations.routes.at(0).required.size(), 2u);
}

TEST(Registrations, OfOwnSubscriptionsHaveNamesOfTheirOwn) {
  postern_host host;
  host.name = "p";
  host.phase = Phase::kInit;
  const auto& events = table<postern_ext_events>(POSTERN_EXT_EVENTS);
  EXPECT_EQ(events.subscribe(&host, str("mine"), str("other.*"), handler, nullptr), POSTERN_OK);
  EXPECT_EQ(events.subscribe(&host, str("mine"), str("more.*"), handler, nullptr), POSTERN_E_INVALID);
  for (const std::string& name : {std::string(), std::string("handlers"), std::string("a b"), std::string("a\n"), std::string(257, 'x')}) {
    EXPECT_EQ(events.subscribe(&host, str(name), str("other.*"), handler, nullptr), POSTERN_E_INVALID) << name;
  }
  EXPECT_EQ(events.subscribe(&host, str("b"), str(""), handler, nullptr), POSTERN_E_INVALID);
  EXPECT_EQ(events.subscribe(&host, str("b"), str("x"), nullptr, nullptr), POSTERN_E_INVALID);
  ASSERT_EQ(host.registrations.own_subscriptions.size(), 1u);
  EXPECT_EQ(host.registrations.own_subscriptions[0].handler.glob, "other.*");
}

TEST(Registrations, AreBounded) {
  postern_host host;
  host.phase = Phase::kInit;
  for (int i = 0; i < 1000; ++i) host_api().config_fault(&host, str("/a"), str("again"));
  EXPECT_EQ(host.registrations.faults.size(), 100u);
}

// ---- errors

TEST(Errors, AreTakenOnceAndBounded) {
  host_api().set_error(nullptr, str("why"));
  EXPECT_EQ(plugin::take_error(), "why");
  EXPECT_EQ(plugin::take_error(), "");
  host_api().set_error(nullptr, str(std::string(100'000, 'x')));
  EXPECT_EQ(plugin::take_error().size(), 1024u);
  host_api().set_error(nullptr, {nullptr, 0});
  EXPECT_EQ(plugin::take_error(), "");
}

TEST(Errors, BelongToTheirThread) {
  host_api().set_error(nullptr, str("mine"));
  std::string other = "untouched";
  std::thread([&] { other = plugin::take_error(); }).join();
  EXPECT_EQ(other, "");
  EXPECT_EQ(plugin::take_error(), "mine");
}

// ---- postern.http, postern.log, postern.health

TEST(HttpTable, ShowsARequestAsItCame) {
  const std::string headers = "X-A: 1\r\nx-a: 2\r\nEmpty: \r\n";
  http::RequestView view{"POST", "/a%20b?c", headers, std::string_view("b\0y", 3), "192.0.2.1"};
  const postern_request* request = handle_of(view);
  const auto& http = table<postern_ext_http>(POSTERN_EXT_HTTP);
  auto text = [](postern_str s) { return std::string(s.ptr, s.len); };
  EXPECT_EQ(text(http.method(request)), "POST");
  EXPECT_EQ(text(http.target(request)), "/a%20b?c");
  EXPECT_EQ(text(http.body(request)), std::string("b\0y", 3));
  EXPECT_EQ(text(http.remote(request)), "192.0.2.1");
  postern_str value{};
  EXPECT_EQ(http.header(request, str("X-a"), 0, &value), POSTERN_OK);
  EXPECT_EQ(text(value), "1");
  EXPECT_EQ(http.header(request, str("X-A"), 1, &value), POSTERN_OK);
  EXPECT_EQ(text(value), "2");
  EXPECT_EQ(http.header(request, str("empty"), 0, &value), POSTERN_OK);
  EXPECT_EQ(value.len, 0u);
  for (std::string_view name : {"X-A:", "X", "", "X-A: 1\r\nx-a", "1"}) {
    value = str("left over");
    EXPECT_EQ(http.header(request, str(name), 0, &value), POSTERN_E_NOT_FOUND) << name;
    EXPECT_EQ(value.len, 0u);
  }
  EXPECT_EQ(http.header(request, str("x-a"), SIZE_MAX, &value), POSTERN_E_NOT_FOUND);
  EXPECT_EQ(http.header(request, {nullptr, 0}, 0, &value), POSTERN_E_NOT_FOUND);
}

TEST(LogTable, MarksAndBoundsItsLines) {
  postern_host host;
  host.name = "voice";
  const auto& log = table<postern_ext_log>(POSTERN_EXT_LOG);
  ::testing::internal::CaptureStderr();
  log::start(log::Style::kJson, log::Level::kInfo);
  log.write(&host, POSTERN_LOG_INFO, str("a\nb \x1b[1m \xff"));
  log.write(&host, POSTERN_LOG_DEBUG, str("not asked for"));
  log.write(&host, 4711, str("unknown level"));
  log.write(&host, POSTERN_LOG_WARN, str(std::string(1 << 20, 'x')));
  log.write(&host, POSTERN_LOG_WARN, {nullptr, 0});
  std::istringstream text(::testing::internal::GetCapturedStderr());
  log::start(log::Style::kTerminal, log::Level::kWarn);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) {
    EXPECT_LT(line.size(), 10'000u);
    lines.push_back(nlohmann::json::parse(line));
  }
  ASSERT_EQ(lines.size(), 4u);
  for (const auto& line : lines) EXPECT_EQ(line["plugin"], "voice");
  EXPECT_EQ(lines[0]["message"], "a\nb \x1b[1m \xef\xbf\xbd");
  EXPECT_EQ(lines[1]["level"], "error");
  EXPECT_EQ(lines[2]["level"], "warn");
  EXPECT_EQ(lines[3]["message"], "");
}

TEST(HealthTable, TakesOnlyReportsThatMakeSense) {
  const auto& health = table<postern_ext_health>(POSTERN_EXT_HEALTH);
  postern_health_report report;
  EXPECT_EQ(health.report(&report, POSTERN_DEGRADED, str("slow"), str(R"({"ms":7})")), POSTERN_OK);
  EXPECT_EQ(report.status, static_cast<uint32_t>(POSTERN_DEGRADED));
  EXPECT_EQ(report.message, "slow");
  EXPECT_EQ(report.details_json, R"({"ms":7})");
  EXPECT_EQ(health.report(&report, POSTERN_HEALTHY, str("fine"), {nullptr, 0}), POSTERN_OK);
  EXPECT_EQ(report.details_json, "");
  for (uint32_t status : {0u, 5u, UINT32_MAX}) EXPECT_EQ(health.report(&report, status, str("m"), str("{}")), POSTERN_E_INVALID);
  for (std::string_view details : {"{", "{} x", "[1]", "7", "null", "\"text\"", "{\"a\":\"\xff\"}"}) {
    EXPECT_EQ(health.report(&report, POSTERN_HEALTHY, str("m"), str(details)), POSTERN_E_INVALID) << details;
  }
  EXPECT_EQ(report.message, "fine") << "a refused report changes nothing";
}

}  // namespace
}  // namespace postern::extension
