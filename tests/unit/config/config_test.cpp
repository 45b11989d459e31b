// What a sound file gives.
#include "core/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/places.h"
#include "tests/unit/config/load.h"

namespace postern::config {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kGateway = "gateway: {listen: [127.0.0.1:0]}\n";

std::filesystem::path shipped() { return postern::testing::sources("config"); }

// Every key of the contract.
constexpr const char* kWhole = R"(gateway:
  listen: [127.0.0.1:8080, "[::1]:8080", unix:/run/p.sock, {address: 127.0.0.1:8082}]
  loops: 1
  public_url: https://hooks.acme.io
  trusted_proxies: [127.0.0.1/32]
  max_body: 1MiB
  max_connections: 500
  log_level: debug
  core_dumps: true
  deadlines: {head: 1s, body: 2s, write: 3s, idle: 4s}
admin:
  listen: 127.0.0.1:8081
  socket: /run/postern/admin.sock
  token: "${env:POSTERN_TEST_TOKEN}"
  open_metrics: true
  allow_details: [10.0.0.0/8, "::1"]
store: {kind: sqlite, path: /var/lib/postern/events.db}
dispatch:
  workers: 4
  max_backlog: 5000
  drain: 10s
  deadline: 15s
  retry: {attempts: 6, base: 30s, factor: 3, cap: 2h, jitter: 0.2, postpone_for: 12h}
  breaker: {failures: 7, open_for: 1m}
  crash_attempts: 3
  quarantine: {crashes: 4, within: 10m, for: 20m}
dedupe: {window: 1d12h}
plugin_dir: /opt/plugins
plugins:
  - name: acme
    library: acme.so
    config: {keys: ["${env:POSTERN_TEST_TOKEN}"], on: true, a/b: {c~d: null}}
    retry: {attempts: 8}
    breaker: {failures: 2}
    deadline: 1m
    crash_attempts: 1
    quarantine: {crashes: 2}
    routes:
      /hooks/acme: {wait: 5s, rate: 30/m, allow: [0.0.0.0/0], max_body: 256KiB, reject_status: 403, ordered: false, dedupe: {window: 1d}}
      /hooks/other:
      /answers: {deadline: 2500ms}
    upstreams:
      api:
        retry: {attempts: 4, base: 2s, cap: 1m}
        breaker: {failures: 9, open_for: 10s}
        deadline: 20s
        max_in_flight: 3
        max_response: 2MiB
        allow_hosts: [a.example, "*.b.example:8443"]
      media: {allow_hosts: []}
      rest:
  - name: mailer
    library: /opt/mailer.so
subscriptions:
  - on: acme.message.*
    when: [{json: /data/from, is: ["+1*", 44], is_not: anonymous}, {header: X-Kind, exists: false}, {form: Total, at_least: 1.5, at_most: 9}]
    plugin: mailer
    with: {to: office@acme.io}
  - {on: acme.message.*, plugin: acme, name: again, retry: {base: 1m}, deadline: 5s}
health: {max_waiting: 50, min_success: 0.9, window: 30s}
)";

TEST(Config, EveryKey) {
  ::setenv("POSTERN_TEST_TOKEN", "hush", 1);
  const Loaded loaded = load_text(kWhole);
  ::unsetenv("POSTERN_TEST_TOKEN");
  ASSERT_THAT(told(loaded), ElementsAre());
  const Config& c = loaded.config;
  ASSERT_EQ(c.listen.size(), 4u);
  EXPECT_EQ(c.listen[0].address, "127.0.0.1:8080");
  EXPECT_EQ(c.listen[1].address, "[::1]:8080");
  EXPECT_EQ(c.listen[2].address, "unix:/run/p.sock");
  EXPECT_EQ(c.listen[3].address, "127.0.0.1:8082");
  EXPECT_EQ(c.listen[1].mark.line, 2);
  EXPECT_EQ(c.listen[1].mark.column, 28);
  EXPECT_EQ(c.loops, 1u);
  EXPECT_EQ(c.public_url, "https://hooks.acme.io");
  EXPECT_THAT(c.trusted_proxies, ElementsAre("127.0.0.1/32"));
  EXPECT_EQ(c.max_body, 1u << 20);
  EXPECT_EQ(c.max_connections, 500u);
  EXPECT_EQ(c.log_level, "debug");
  EXPECT_TRUE(c.core_dumps);
  EXPECT_EQ(c.deadlines.head, 1s);
  EXPECT_EQ(c.deadlines.body, 2s);
  EXPECT_EQ(c.deadlines.write, 3s);
  EXPECT_EQ(c.deadlines.idle, 4s);
  EXPECT_EQ(c.admin.listen, "127.0.0.1:8081");
  EXPECT_EQ(c.admin.socket, "/run/postern/admin.sock");
  EXPECT_EQ(c.admin.token, "hush");
  EXPECT_TRUE(c.admin.open_metrics);
  EXPECT_THAT(c.admin.allow_details, ElementsAre("10.0.0.0/8", "::1/128"));
  EXPECT_EQ(c.store_path, "/var/lib/postern/events.db");
  EXPECT_EQ(c.workers, 4u);
  EXPECT_EQ(c.max_backlog, 5000u);
  EXPECT_EQ(c.health.max_waiting, 50u);
  EXPECT_EQ(c.health.min_success, 0.9);
  EXPECT_EQ(c.health.window, 30s);
  EXPECT_EQ(c.drain, 10s);
  EXPECT_EQ(c.policies.deadline, 15s);
  EXPECT_EQ(c.policies.retry.factor, 3.0);
  EXPECT_EQ(c.policies.retry.cap, 2h);
  EXPECT_EQ(c.policies.retry.jitter, 0.2);
  EXPECT_EQ(c.dedupe_window, 36h);
  EXPECT_EQ(c.plugin_dir, "/opt/plugins");
  EXPECT_EQ(c.policies.crash_attempts, 3u);
  EXPECT_EQ(c.quarantine.crashes, 4u);
  EXPECT_EQ(c.quarantine.within, 10min);
  EXPECT_EQ(c.quarantine.lasts, 20min);
  EXPECT_EQ(c.plugins[0].policies.crash_attempts, 1u);
  EXPECT_EQ(c.plugins[0].quarantine.crashes, 2u);
  EXPECT_EQ(c.plugins[0].quarantine.within, 10min);  // inherited
  EXPECT_EQ(c.plugins[1].policies.crash_attempts, 3u);
  EXPECT_EQ(c.plugins[1].quarantine.crashes, 4u);
}

TEST(Config, PluginsAndInheritance) {
  ::setenv("POSTERN_TEST_TOKEN", "hush", 1);
  const Loaded loaded = load_text(kWhole);
  ::unsetenv("POSTERN_TEST_TOKEN");
  ASSERT_EQ(loaded.config.plugins.size(), 2u);
  const Plugin& acme = loaded.config.plugins[0];
  EXPECT_EQ(acme.name, "acme");
  EXPECT_EQ(acme.library, "acme.so");
  EXPECT_EQ(acme.config_json, R"({"a/b":{"c~d":null},"keys":["hush"],"on":true})");
  EXPECT_EQ(acme.policies.retry.attempts, 8u);
  EXPECT_EQ(acme.policies.retry.base, 30s);
  EXPECT_EQ(acme.policies.breaker.failures, 2u);
  EXPECT_EQ(acme.policies.breaker.open_for, 1min);
  EXPECT_EQ(acme.policies.deadline, 1min);
  ASSERT_EQ(acme.routes.size(), 3u);
  EXPECT_EQ(acme.routes[0].path, "/hooks/acme");
  EXPECT_EQ(acme.routes[0].wait, 5s);
  EXPECT_EQ(acme.routes[0].rate, 0.5);
  EXPECT_THAT(acme.routes[0].allow, ElementsAre("0.0.0.0/0"));
  EXPECT_EQ(acme.routes[0].max_body, 256u << 10);
  EXPECT_EQ(acme.routes[0].reject_status, 403);
  EXPECT_EQ(acme.routes[0].ordered, false);
  EXPECT_EQ(acme.routes[0].dedupe_window, days(1));
  EXPECT_FALSE(acme.routes[1].dedupe_window);
  EXPECT_EQ(acme.routes[1].path, "/hooks/other");
  EXPECT_FALSE(acme.routes[1].wait || acme.routes[1].rate || acme.routes[1].max_body || acme.routes[1].ordered);
  EXPECT_FALSE(acme.routes[0].deadline || acme.routes[1].deadline) << "a plugin's or a dispatch's deadline is another one";
  EXPECT_EQ(acme.routes[2].deadline, 2500ms);
  EXPECT_FALSE(acme.routes[2].wait);

  const Plugin& mailer = loaded.config.plugins[1];
  EXPECT_EQ(mailer.config_json, "{}");
  EXPECT_EQ(mailer.policies.retry.attempts, 6u);
  EXPECT_EQ(mailer.config_marks.at("").line, 52);
  EXPECT_EQ(mailer.config_marks.at("").column, 5);

  ASSERT_EQ(loaded.config.subscriptions.size(), 2u);
  const Subscription& first = loaded.config.subscriptions[0];
  EXPECT_EQ(first.name, "acme.message.*");
  EXPECT_EQ(first.with_json, R"({"to":"office@acme.io"})");
  EXPECT_EQ(first.policies.retry.attempts, 6u);
  ASSERT_EQ(first.when.size(), 3u);
  EXPECT_EQ(first.when[0].source, Condition::Source::kJson);
  EXPECT_EQ(first.when[0].name, "/data/from");
  EXPECT_THAT(first.when[0].is, ElementsAre("+1*", "44"));
  EXPECT_THAT(first.when[0].is_not, ElementsAre("anonymous"));
  EXPECT_EQ(first.when[0].exists, std::nullopt);
  EXPECT_EQ(first.when[1].source, Condition::Source::kHeader);
  EXPECT_EQ(first.when[1].exists, false);
  EXPECT_EQ(first.when[2].source, Condition::Source::kForm);
  EXPECT_EQ(first.when[2].at_least, 1.5);
  EXPECT_EQ(first.when[2].at_most, 9);
  const Subscription& again = loaded.config.subscriptions[1];
  EXPECT_EQ(again.name, "again");
  EXPECT_EQ(again.with_json, "{}");
  EXPECT_EQ(again.policies.retry.attempts, 8u);  // its plugin's
  EXPECT_EQ(again.policies.retry.base, 1min);
  EXPECT_EQ(again.policies.deadline, 5s);
}

TEST(Config, UpstreamsOfAPlugin) {
  ::setenv("POSTERN_TEST_TOKEN", "hush", 1);
  const Loaded loaded = load_text(kWhole);
  ::unsetenv("POSTERN_TEST_TOKEN");
  EXPECT_EQ(loaded.config.plugins[0].policies.retry.postpone_for, 12h);
  const std::vector<UpstreamOverride>& upstreams = loaded.config.plugins[0].upstreams;
  ASSERT_EQ(upstreams.size(), 3u);
  const UpstreamOverride& api = upstreams[0];
  EXPECT_EQ(api.name, "api");
  EXPECT_EQ(api.mark.line, 43);
  EXPECT_EQ(api.mark.column, 7);
  EXPECT_EQ(api.attempts, 4u);
  EXPECT_EQ(api.base, 2s);
  EXPECT_EQ(api.cap, 1min);
  EXPECT_EQ(api.failures, 9u);
  EXPECT_EQ(api.open_for, 10s);
  EXPECT_EQ(api.deadline, 20s);
  EXPECT_EQ(api.max_in_flight, 3u);
  EXPECT_EQ(api.max_response, 2u << 20);
  ASSERT_TRUE(api.allow_hosts);
  ASSERT_EQ(api.allow_hosts->size(), 2u);
  EXPECT_EQ(api.allow_hosts->at(1).pattern, "*.b.example:8443");
  EXPECT_EQ(api.allow_hosts->at(1).mark.line, 49);
  EXPECT_EQ(api.allow_hosts->at(1).mark.column, 34);
  EXPECT_TRUE(upstreams[1].allow_hosts) << "an empty list is one";
  EXPECT_FALSE(upstreams[1].attempts || upstreams[1].deadline || upstreams[1].failures || upstreams[1].max_response);
  EXPECT_FALSE(upstreams[2].allow_hosts || upstreams[2].open_for || upstreams[2].base || upstreams[2].cap || upstreams[2].max_in_flight);
}

TEST(Config, CriticalEvents) {
  const Loaded loaded = load_text(kGateway +
                                  "plugins:\n"
                                  "  - {name: a, library: a.so, events: {b.*: {critical: true}, b.c: {critical: false}, d: }}\n");
  ASSERT_THAT(told(loaded), ElementsAre());
  const std::vector<EventOverride>& events = loaded.config.plugins[0].events;
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].type, "b.*");
  EXPECT_EQ(events[0].critical, true);
  EXPECT_EQ(events[1].type, "b.c");
  EXPECT_EQ(events[1].critical, false);
  EXPECT_FALSE(events[2].critical);
}

TEST(Config, MarksOfAPluginsConfig) {
  const Loaded loaded = load_text(kGateway +
                                  "plugins:\n"
                                  "  - name: a\n"
                                  "    library: a.so\n"
                                  "    config:\n"
                                  "      keys: [x, y]\n"
                                  "      a/b: {c~d: 1}\n"
                                  "      list:\n"
                                  "        - one\n");
  ASSERT_THAT(told(loaded), ElementsAre());
  std::vector<std::string> places;
  for (const auto& [pointer, mark] : loaded.config.plugins[0].config_marks)
    places.push_back(fmt::format("{} {}:{}", pointer, mark.line, mark.column));
  EXPECT_THAT(places, ElementsAre(" 5:5", "/a~1b 7:7", "/a~1b/c~0d 7:13", "/keys 6:7", "/keys/0 6:14", "/keys/1 6:17",
                                  "/list 8:7", "/list/0 9:11"));
}

TEST(Config, JsonTypes) {
  const std::pair<const char*, const char*> table[] = {
      {"true", "true"},
      {"False", "false"},
      {"yes", R"("yes")"},
      {"on", R"("on")"},
      {"null", "null"},
      {"~", "null"},
      {"", "null"},
      {"''", R"("")"},
      {"'~'", R"("~")"},
      {"12", "12"},
      {"-12", "-12"},
      {"+12", "12"},
      {"0012", "12"},
      {"0x1F", "31"},
      {"0o17", "15"},
      {"'12'", R"("12")"},
      {"\"12\"", R"("12")"},
      {"!!str 12", R"("12")"},
      {"1.5", "1.5"},
      {"-.5e1", "-5.0"},
      {"1.", "1.0"},
      {"1e3", "1000.0"},
      {"1.2.3", R"("1.2.3")"},
      {"12ab", R"("12ab")"},
      {"0x", R"("0x")"},
      {".", R"(".")"},
      {"e5", R"("e5")"},
      {"1_000", R"("1_000")"},
      {"2026-11-20", R"("2026-11-20")"},
      {"18446744073709551615", "18446744073709551615"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"$${x}", R"("${x}")"},
      {"|\n        a\n        b\n", R"("a\nb\n")"},
      {"größe", R"("größe")"},
      {"\"\\u0000e\"", nullptr},
  };
  for (const auto& [yaml, json] : table) {
    const Loaded loaded =
        load_text(kGateway + "plugins:\n  - name: a\n    library: a.so\n    config:\n      k: " + yaml + "\n");
    if (!json) {
      EXPECT_THAT(told(loaded), ElementsAre("6:10 plugins[0].config/k must not contain NUL"));
      continue;
    }
    EXPECT_THAT(told(loaded), ElementsAre()) << yaml;
    ASSERT_EQ(loaded.config.plugins.size(), 1u) << yaml;
    EXPECT_EQ(loaded.config.plugins[0].config_json, std::string(R"({"k":)") + json + "}") << yaml;
  }
}

TEST(Config, DefaultsAndEmptySections) {
  const Loaded loaded =
      load_text("gateway:\n  listen: 127.0.0.1:0\nadmin:\nstore:\ndispatch:\nplugins:\nsubscriptions:\n");
  ASSERT_THAT(told(loaded), ElementsAre());
  const Config& c = loaded.config;
  EXPECT_EQ(c.listen[0].address, "127.0.0.1:0");
  EXPECT_EQ(c.loops, 0u);
  EXPECT_EQ(c.public_url, "");
  EXPECT_EQ(c.max_body, 1u << 20);
  EXPECT_EQ(c.log_level, "info");
  EXPECT_EQ(c.admin.listen, "");
  EXPECT_EQ(c.admin.socket, "/run/postern/admin.sock");
  EXPECT_EQ(c.workers, 8u);
  EXPECT_EQ(c.policies.retry.attempts, 5u);
  EXPECT_EQ(c.dedupe_window, days(3));
  EXPECT_EQ(c.plugin_dir, "/usr/lib/postern/plugins");
}

TEST(Config, ListenersWithTlsAndProxyProtocol) {
  const Loaded loaded = load_text(R"(gateway:
  trusted_proxies: [10.0.0.1]
  listen:
    - 127.0.0.1:80
    - {address: 127.0.0.1:443, tls: {certificate: a.pem, key: a.key}}
    - address: 127.0.0.1:444
      proxy_protocol: true
      tls:
        certificates: [{certificate: a.pem, key: a.key}, {certificate: b.pem, key: b.key}]
        client_ca: ca.pem
        client_certificate: optional
        min_version: 1.3
admin: {listen: {address: 127.0.0.1:81, tls: {certificate: c.pem, key: c.key, client_ca: ca.pem}}, token: a}
)");
  ASSERT_THAT(told(loaded), ElementsAre());
  const Config& c = loaded.config;
  ASSERT_EQ(c.listen.size(), 3u);
  EXPECT_FALSE(c.listen[0].tls);
  EXPECT_FALSE(c.listen[1].proxy_protocol);
  ASSERT_TRUE(c.listen[1].tls);
  ASSERT_EQ(c.listen[1].tls->identities.size(), 1u);
  EXPECT_EQ(c.listen[1].tls->identities[0].certificate.path, "a.pem");
  EXPECT_EQ(c.listen[1].tls->identities[0].key.path, "a.key");
  EXPECT_EQ(c.listen[1].tls->identities[0].key.mark.line, 5);
  EXPECT_FALSE(c.listen[1].tls->only_1_3);
  EXPECT_EQ(c.listen[1].tls->client_ca.path, "");
  EXPECT_TRUE(c.listen[2].proxy_protocol);
  ASSERT_TRUE(c.listen[2].tls);
  ASSERT_EQ(c.listen[2].tls->identities.size(), 2u);
  EXPECT_EQ(c.listen[2].tls->identities[1].certificate.path, "b.pem");
  EXPECT_EQ(c.listen[2].tls->client_ca.path, "ca.pem");
  EXPECT_FALSE(c.listen[2].tls->client_certificate_required);
  EXPECT_TRUE(c.listen[2].tls->only_1_3);
  EXPECT_EQ(c.admin.listen, "127.0.0.1:81");
  ASSERT_TRUE(c.admin.tls);
  EXPECT_TRUE(c.admin.tls->client_certificate_required);
}

TEST(Config, WhatOneClientMayAskFor) {
  const Loaded loaded = load_text(
      "gateway: {listen: 127.0.0.1:0, max_connections_per_client: 0, rate_per_client: 30/m, min_body_rate: 2KiB}\n"
      "plugins: [{name: a, library: a.so, routes: {/x: {rate_per_client: 5/s}, /y: {rate: 5/s}}}]\n");
  ASSERT_TRUE(loaded.faults.empty()) << loaded.faults.front().message;
  EXPECT_EQ(loaded.config.max_connections_per_client, 0u);
  EXPECT_EQ(loaded.config.rate_per_client, 0.5);
  EXPECT_EQ(loaded.config.min_body_rate, 2048u);
  EXPECT_EQ(loaded.config.plugins[0].routes[0].rate_per_client, 5);
  EXPECT_FALSE(loaded.config.plugins[0].routes[0].rate);
  EXPECT_FALSE(loaded.config.plugins[0].routes[1].rate_per_client);
}

TEST(Config, TwoListenersMayBothLetTheSystemChoose) {
  EXPECT_THAT(told(load_text("gateway: {listen: [127.0.0.1:0, 127.0.0.1:0]}\n")), ElementsAre());
}

TEST(Config, AliasesWork) {
  const Loaded loaded = load_text(kGateway +
                                  "dispatch: {retry: &r {attempts: 9}}\n"
                                  "plugins: [{name: a, library: a.so, retry: *r, config: &c {x: 1}},"
                                  " {name: b, library: b.so, config: *c}]\n");
  ASSERT_THAT(told(loaded), ElementsAre());
  EXPECT_EQ(loaded.config.plugins[0].policies.retry.attempts, 9u);
  EXPECT_EQ(loaded.config.plugins[1].config_json, R"({"x":1})");
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// The shipped files are sound but for the one thing that only the operator knows.
TEST(Config, ShippedFiles) {
  std::vector<std::filesystem::path> files = {shipped() / "gateway.yaml"};
  for (const auto& entry : std::filesystem::directory_iterator(shipped() / "examples"))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  ASSERT_GE(files.size(), 2u);
  for (const std::filesystem::path& file : files) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    const std::string yaml = text.str();
    for (size_t at = yaml.find("${env:"); at != yaml.npos; at = yaml.find("${env:", at + 1))
      ::setenv(yaml.substr(at + 6, yaml.find('}', at) - at - 6).c_str(), "c2VjcmV0", 1);
    EXPECT_THAT(told(load_config(file.string())),
                ElementsAre(HasSubstr("gateway.public_url: 'https://hooks.your-domain.com' is a placeholder")))
        << file;

    const TempFolder folder;
    const Loaded edited = load_config(folder.write("g.yaml", replaced(yaml, "your-domain", "acme")));
    EXPECT_THAT(told(edited), ElementsAre()) << file;
    EXPECT_EQ(edited.config.public_url, "https://hooks.acme.com");
    EXPECT_EQ(edited.config.dedupe_window, days(3));
  }
}

// What gateway.yaml comments out is sound as well once its # is gone, and shows the defaults. There a setting follows
// its # at once or after two spaces and more, prose after one.
TEST(Config, RetentionHasDefaultsAndNoneIsNoBound) {
  const std::string gateway = "gateway: {listen: [127.0.0.1:0]}\n";
  const Retention usual = load_text(gateway).config.retention;
  EXPECT_EQ(usual.age, std::chrono::days(30));
  EXPECT_EQ(usual.dead, std::chrono::days(90));
  EXPECT_EQ(usual.size, 0u);
  const Retention set = load_text(gateway + "store: {retention: {age: 7d, dead: none, size: 1GiB}}\n").config.retention;
  EXPECT_EQ(set.age, std::chrono::days(7));
  EXPECT_EQ(set.dead.count(), 0);
  EXPECT_EQ(set.size, 1ull << 30);
}

TEST(Config, ShippedCommentsAreSound) {
  const TempFolder folder;
  const std::string token = folder.write("admin.token", "hush\n");
  std::ifstream in(shipped() / "gateway.yaml");
  ASSERT_TRUE(in.is_open());
  std::string yaml;
  for (std::string line; std::getline(in, line);) {
    const size_t hash = line.find_first_not_of(' ');
    const std::string after = hash == line.npos || line[hash] != '#' ? "" : line.substr(hash + 1);
    const bool prose = after.size() > 1 && after[0] == ' ' && after[1] != ' ';
    if (!after.empty() && !prose) line.erase(hash, 1);
    yaml += line + "\n";
  }
  yaml = replaced(replaced(yaml, "your-domain", "acme"), "${file:/etc/postern/admin.token}", "${file:" + token + "}");
  ::setenv("MYPROVIDER_SIGNING_KEY", "hush", 1);
  const Loaded loaded = load_config(folder.write("g.yaml", yaml));
  ::unsetenv("MYPROVIDER_SIGNING_KEY");
  ASSERT_THAT(told(loaded), ElementsAre()) << yaml;

  const Config defaults;
  const Config& c = loaded.config;
  EXPECT_EQ(c.admin.listen, "127.0.0.1:8081");
  EXPECT_EQ(c.plugins.size(), 1u);
  EXPECT_EQ(c.plugins[0].routes.size(), 1u);
  EXPECT_EQ(c.plugins[0].events.size(), 1u);
  ASSERT_EQ(c.plugins[0].upstreams.size(), 1u);
  EXPECT_EQ(c.plugins[0].upstreams[0].attempts, 3u);
  EXPECT_EQ(c.subscriptions.size(), 2u);
  EXPECT_EQ(c.trusted_proxies.size(), 2u);
  EXPECT_EQ(c.loops, defaults.loops);
  EXPECT_EQ(c.max_body, defaults.max_body);
  EXPECT_EQ(c.max_connections, defaults.max_connections);
  EXPECT_EQ(c.max_connections_per_client, defaults.max_connections_per_client);
  EXPECT_EQ(c.rate_per_client, 20);
  EXPECT_EQ(c.plugins[0].routes[0].rate_per_client, 20);
  EXPECT_EQ(c.min_body_rate, defaults.min_body_rate);
  EXPECT_EQ(c.deadlines.head, defaults.deadlines.head);
  EXPECT_EQ(c.deadlines.body, defaults.deadlines.body);
  EXPECT_EQ(c.deadlines.write, defaults.deadlines.write);
  EXPECT_EQ(c.deadlines.idle, defaults.deadlines.idle);
  EXPECT_EQ(c.log_level, defaults.log_level);
  EXPECT_FALSE(c.core_dumps);
  EXPECT_EQ(c.admin.socket, defaults.admin.socket);
  EXPECT_EQ(c.admin.open_metrics, defaults.admin.open_metrics);
  EXPECT_EQ(c.store_path, defaults.store_path);
  EXPECT_EQ(c.workers, defaults.workers);
  EXPECT_EQ(c.max_backlog, defaults.max_backlog);
  EXPECT_EQ(c.health.max_waiting, defaults.health.max_waiting);
  EXPECT_EQ(c.health.min_success, defaults.health.min_success);
  EXPECT_EQ(c.health.window, defaults.health.window);
  EXPECT_EQ(c.drain, defaults.drain);
  EXPECT_EQ(c.policies.deadline, defaults.policies.deadline);
  EXPECT_EQ(c.policies.retry.attempts, defaults.policies.retry.attempts);
  EXPECT_EQ(c.policies.retry.base, defaults.policies.retry.base);
  EXPECT_EQ(c.policies.retry.factor, defaults.policies.retry.factor);
  EXPECT_EQ(c.policies.retry.cap, defaults.policies.retry.cap);
  EXPECT_EQ(c.policies.retry.jitter, defaults.policies.retry.jitter);
  EXPECT_EQ(c.policies.retry.postpone_for, defaults.policies.retry.postpone_for);
  EXPECT_EQ(c.policies.breaker.failures, defaults.policies.breaker.failures);
  EXPECT_EQ(c.policies.breaker.open_for, defaults.policies.breaker.open_for);
  EXPECT_EQ(c.dedupe_window, defaults.dedupe_window);
  EXPECT_EQ(c.plugin_dir, defaults.plugin_dir);
}

}  // namespace
}  // namespace postern::config
