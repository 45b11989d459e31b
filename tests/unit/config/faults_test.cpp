// Every kind of fault, with its exact place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/load.h"

namespace postern::config {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

const std::string kGateway = "gateway: {listen: [127.0.0.1:0]}\n";  // one line, so that a case begins in line 2

struct Case {
  std::string yaml;  // from line 1
  std::vector<std::string> faults;
};

void run(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_THAT(told(load_text(c.yaml)), ElementsAreArray(c.faults)) << c.yaml;
}

void run_after_gateway(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_THAT(told(load_text(kGateway + c.yaml)), ElementsAreArray(c.faults)) << c.yaml;
}

TEST(Faults, Shape) {
  run({
      {"", {"1:1 the file is empty"}},
      {"# only a comment\n", {"1:1 the file is empty"}},
      {"---\n", {"1:1 the file is empty"}},
      {"- a\n", {"1:1 the file must be a mapping (key: value), not a list"}},
      {"text\n", {"1:1 the file must be a mapping (key: value), not a single value"}},
      {"store: {}\n", {"1:1 gateway.listen is missing"}},
      {"store: {}\ngateway:\n", {"2:1 gateway.listen is missing"}},
      {"gateway: [a]\n", {"1:10 gateway must be a mapping (key: value), not a list"}},
      {"gateway: {listen: [127.0.0.1:0]}\n---\nstore: {}\n",
       {"2:1 a second document; a configuration is one document"}},
      {"gateway: {listen: [127.0.0.1:0]}\n  bad: [\n", {"2:3 YAML: end of map not found"}},
      {"gateway:\n\tlisten: x\n", {"2:8 YAML: illegal map value; the line is indented with a tab, use spaces"}},
      {"a: \"\\é\"\n", {"1:7 YAML: unknown escape character: \\xc3"}},
      {"a: *nowhere\n", {"1:4 YAML: the referenced anchor is not defined"}},
      {"a: &a [*a]\n", {"1:8 an alias inside the value that it stands for"}},
      {"ä: [1, 2\n", {"2:1 YAML: end of sequence flow not found"}},
      {"a: \x01\n", {"1:4 control character 0x01; a configuration is UTF-8 text"}},
      {"a: 1\nb: \xff\n", {"2:1 this line is not valid UTF-8"}},
  });
}

TEST(Faults, KeysAndTypes) {
  run_after_gateway({
      {"gatway: {}\n", {"2:1 unknown key 'gatway'; did you mean 'gateway'?"}},
      {"store: {kind: sqlite, kind: sqlite}\n", {"2:23 duplicate key 'kind'; it is in line 2 already"}},
      {"store: {}\nstore: {}\n", {"3:1 duplicate key 'store'; it is in line 2 already"}},
      {"[a]: b\n", {"2:1 a key must be a text"}},
      {"\"a\\0\": b\n", {"2:1 a key must not contain NUL"}},
      {"store: {path: \"a\\0b\"}\n", {"2:15 store.path must not contain NUL"}},
      {"store: {path: !secret x}\n", {"2:15 YAML tags are not supported; quote a value to make it a string"}},
      {"store: {path: }\n", {"2:9 store.path must be a single value, not nothing"}},
      {"store:\n  path:\n  # more\n  kind: sqlite\n", {"3:3 store.path must be a single value, not nothing"}},
      {"store: {path: ''}\n", {"2:15 store.path: must not be empty"}},
      {"store: {path: [a]}\n", {"2:15 store.path must be a single value, not a list"}},
      {"dispatch: 5\n", {"2:11 dispatch must be a mapping (key: value), not a single value"}},
      {"dispatch: {workers: '8'}\n", {"2:21 dispatch.workers must not be a string; write it without quotes"}},
      {"dispatch: {workers: many}\n", {"2:21 dispatch.workers: 'many' is not a whole number"}},
      {"dispatch: {workers: -1}\n", {"2:21 dispatch.workers: '-1' is not a whole number"}},
      {"admin: {open_metrics: yes}\n", {"2:23 admin.open_metrics: 'yes' is neither true nor false"}},
      {"plugins: {}\n", {"2:10 plugins must be a list, not a mapping"}},
      {"plugins: [a]\n", {"2:11 plugins[0] must be a mapping (key: value), not a single value"}},
      {"plugins:\n  -\n  - {name: a, library: a.so}\n",
       {"3:3 plugins[0].name is missing", "3:3 plugins[0].library is missing"}},
      {"\"\\e[31m\\u009b\": 1\n",
       {"2:1 unknown key '\\x1b[31m\\xc2\\x9b'; known: gateway, admin, store, dispatch, dedupe, health, plugin_dir, plugins, "
        "subscriptions"}},
      {"store: {path: \"/data\\N_1\"}\n", {"2:15 the escapes \\N and \\_ are not supported; write \\u0085 and \\u00a0"}},
  });
}

// What the file says is part of the path to a key.
TEST(Faults, AreOnePrintableLine) {
  const auto told_of = [](const std::string& key) {
    return told(load_text(std::string(kGateway) + "plugins: [{name: a, library: a.so, config: {" + key + ": \"${env:POSTERN_TEST_UNSET}\"}}]\n")).at(0);
  };
  EXPECT_THAT(told_of("\"a\\t\\e\\x9b\""), HasSubstr("config/a\\x09\\x1b\\xc2\\x9b: environment"));
  EXPECT_THAT(told_of("ä"), HasSubstr("config/ä: environment"));
  EXPECT_LT(told_of(std::string(5'000, 'k')).size(), 1'100u);
}

TEST(Faults, Ranges) {
  run_after_gateway({
      {"dispatch: {workers: 0}\n", {"2:21 dispatch.workers: '0' is out of range; it goes from 1 to 1024"}},
      {"dispatch: {workers: 1025}\n", {"2:21 dispatch.workers: '1025' is out of range; it goes from 1 to 1024"}},
      {"dispatch: {workers: 99999999999999999999}\n", {"2:21 dispatch.workers: '99999999999999999999' is too large"}},
      {"dispatch: {max_backlog: 0}\n",
       {"2:25 dispatch.max_backlog: '0' is out of range; it goes from 1 to 1000000000000"}},
      {"dispatch: {drain: 2h}\n", {"2:19 dispatch.drain: '2h' is out of range; it goes from 0 to 1h"}},
      {"dispatch: {drain: 5}\n",
       {"2:19 dispatch.drain: '5' is not a duration; write it like 250ms, 5s, 10m, 1h30m or 3d"}},
      {"dispatch: {deadline: 0}\n", {"2:22 dispatch.deadline: '0' is out of range; it goes from 1ms to 1d"}},
      {"dispatch: {retry: {attempts: 0}}\n",
       {"2:30 dispatch.retry.attempts: '0' is out of range; it goes from 1 to 100"}},
      {"dispatch: {retry: {attempts: 101}}\n",
       {"2:30 dispatch.retry.attempts: '101' is out of range; it goes from 1 to 100"}},
      {"dispatch: {retry: {base: 0s}}\n", {"2:26 dispatch.retry.base: '0s' is out of range; it goes from 1ms to 365d"}},
      {"dispatch: {retry: {factor: 0.9}}\n",
       {"2:28 dispatch.retry.factor: '0.9' is out of range; it goes from 1 to 1000"}},
      {"dispatch: {retry: {factor: .nan}}\n", {"2:28 dispatch.retry.factor: '.nan' is not a number"}},
      {"dispatch: {retry: {jitter: 1.5}}\n",
       {"2:28 dispatch.retry.jitter: '1.5' is out of range; it goes from 0 to 1"}},
      {"dispatch: {retry: {cap: 1s}}\n",
       {"2:25 dispatch.retry.cap: must not be less than base, set here or inherited"}},
      {"dispatch: {retry: {base: 2h}}\n",
       {"2:26 dispatch.retry.base: must not be more than the cap that is inherited; set cap as well"}},
      {"dispatch: {retry: {base: 2x, cap: 1s}}\n",
       {"2:26 dispatch.retry.base: '2x' is not a duration; write it like 250ms, 5s, 10m, 1h30m or 3d"}},
      {"dispatch: {breaker: {failures: 0}}\n",
       {"2:32 dispatch.breaker.failures: '0' is out of range; it goes from 1 to 1000000"}},
      {"dispatch: {breaker: {open_for: 0}}\n",
       {"2:32 dispatch.breaker.open_for: '0' is out of range; it goes from 1ms to 1d"}},
      {"health: {max_waiting: 0}\n", {"2:23 health.max_waiting: '0' is out of range; it goes from 1 to 1000000000000"}},
      {"health: {min_success: 50}\n", {"2:23 health.min_success: '50' is out of range; it goes from 0 to 1"}},
      {"health: {min_success: half}\n", {"2:23 health.min_success: 'half' is not a number"}},
      {"health: {window: 500ms}\n", {"2:18 health.window: '500ms' is out of range; it goes from 1s to 1d"}},
      {"health: {window: 5}\n", {"2:18 health.window: '5' is not a duration; write it like 250ms, 5s, 10m, 1h30m or 3d"}},
      {"health: {max_wating: 5}\n", {"2:10 unknown key 'max_wating'; did you mean 'max_waiting'?"}},
      {"dedupe: {window: 59s}\n", {"2:18 dedupe.window: '59s' is out of range; it goes from 1m to 365d"}},
      {"dedupe: {window: 366d}\n", {"2:18 dedupe.window: '366d' is out of range; it goes from 1m to 365d"}},
      {"dedupe: {window: 9999999999999d}\n", {"2:18 dedupe.window: '9999999999999d' is too large"}},
      {"store: {kind: postgres}\n", {"2:15 store.kind: PostgreSQL comes with a later version; use sqlite"}},
      {"store: {kind: sqlit}\n", {"2:15 store.kind: 'sqlit' is not known; did you mean 'sqlite'?"}},
  });
}

TEST(Faults, Upstreams) {
  const std::string plugin = "plugins: [{name: a, library: a.so, upstreams: ";
  run_after_gateway({
      {plugin + "{api: {retry: {attempts: 0}}}}]\n",
       {"2:72 plugins[0].upstreams['api'].retry.attempts: '0' is out of range; it goes from 1 to 100"}},
      {plugin + "{api: {retry: {factor: 2}}}}]\n", {"2:62 unknown key 'factor'; known: attempts, base, cap"}},
      {plugin + "{api: {braker: {failures: 2}}}}]\n", {"2:54 unknown key 'braker'; did you mean 'breaker'?"}},
      {plugin + "{api: {breaker: {open: 2s}}}}]\n", {"2:64 unknown key 'open'; known: failures, open_for"}},
      {plugin + "{api: {deadline: 2d}}}]\n",
       {"2:64 plugins[0].upstreams['api'].deadline: '2d' is out of range; it goes from 1ms to 1d"}},
      {plugin + "{api: {max_response: 65MiB}}}]\n",
       {"2:68 plugins[0].upstreams['api'].max_response: '65MiB' is out of range; it goes from 1 to 64MiB"}},
      {plugin + "{api: {allow_hosts: a.example}}}]\n",
       {"2:67 plugins[0].upstreams['api'].allow_hosts must be a list, not a single value"}},
      {plugin + "{api: {allow_hosts: [[a]]}}}]\n",
       {"2:68 plugins[0].upstreams['api'].allow_hosts[0] must be a single value, not a list"}},
      {plugin + "[api]}]\n", {"2:47 plugins[0].upstreams: must be a mapping (name: settings), not a list"}},
      {"dispatch: {retry: {postpone_for: ever}}\n",
       {"2:34 dispatch.retry.postpone_for: 'ever' is not a duration; write it like 250ms, 5s, 10m, 1h30m or 3d"}},
  });
}

TEST(Faults, Retention) {
  run_after_gateway({
      {"store: {retention: {age: none, dead: none, size: none}}\n", {}},
      {"store: {retention: {age: 7d, dead: 1h, size: 10GiB}}\n", {}},
      {"store: {retention: {age: forever}}\n",
       {"2:26 store.retention.age: 'forever' is not a duration; write it like 250ms, 5s, 10m, 1h30m or 3d"}},
      {"store: {retention: {keep: 7d}}\n", {"2:21 unknown key 'keep'; known: age, dead, size"}},
  });
}

TEST(Faults, Gateway) {
  run({
      {"gateway: {listen: }\n", {"1:11 gateway.listen: needs an address at least"}},
      {"gateway: {listen: []}\n", {"1:11 gateway.listen: needs an address at least"}},
      {"gateway: {listen: localhost:80}\n",
       {"1:19 gateway.listen: 'localhost:80' is not an address; write HOST:PORT, like 127.0.0.1:8080 or "
        "\"[::1]:8080\"; "
        "names are not looked up"}},
      {"gateway: {listen: [127.0.0.1:80, 127.0.0.1:99999]}\n",
       {"1:34 gateway.listen[1]: '127.0.0.1:99999' has a bad port; it is a number from 0 to 65535"}},
      {"gateway:\n  listen:\n    - \"[::1]:80\"\n    - \"[0::1]:80\"\n",
       {"4:7 gateway.listen[1]: '[0::1]:80' is listened on twice; first in line 3"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: {certificate: a}}}\n", {"1:43 gateway.listen.tls.key is missing"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: }}\n",
       {"1:43 gateway.listen.tls.certificate is missing", "1:43 gateway.listen.tls.key is missing"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: {certificates: []}}}\n",
       {"1:49 gateway.listen.tls.certificates: needs an item at least"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: {certificates: [{certificate: a, key: b}], key: b}}}\n",
       {"1:91 gateway.listen.tls.key: stands in each item of `certificates` where there is that list"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: {certificates: [{certificate: a, kye: b}]}}}\n",
       {"1:64 gateway.listen.tls.certificates[0].key is missing", "1:81 unknown key 'kye'; did you mean 'key'?"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: {certificate: a, key: b, min_version: \"1.1\"}}}\n",
       {"1:86 gateway.listen.tls.min_version: '1.1' is not known; did you mean '1.2'?"}},
      {"gateway: {listen: {address: 127.0.0.1:80, tls: {certificate: a, key: b, client_certificate: optional}}}\n",
       {"1:73 gateway.listen.tls.client_certificate: needs client_ca, the authorities that sign clients' certificates"}},
      {"gateway: {listen: {address: 127.0.0.1:80, proxy_protocol: true}}\n",
       {"1:59 gateway.listen.proxy_protocol: needs gateway.trusted_proxies: the header is believed from them alone, and "
        "nobody else may connect"}},
      {"gateway: {listen: {adress: 127.0.0.1:80}}\n",
       {"1:19 gateway.listen.address is missing", "1:20 unknown key 'adress'; did you mean 'address'?"}},
      {"gateway: {listen: 127.0.0.1:0, loops: 257}\n",
       {"1:39 gateway.loops: '257' is out of range; it goes from 0 to 256"}},
      {"gateway: {listen: 127.0.0.1:0, public_url: https://hooks.example.com}\n",
       {"1:44 gateway.public_url: 'https://hooks.example.com' is a placeholder; set it to the address that providers "
        "call"}},
      {"gateway: {listen: 127.0.0.1:0, public_url: 'https://a.io?x'}\n",
       {"1:44 gateway.public_url: 'https://a.io?x' has a query or fragment; a base URL has none"}},
      {"gateway: {listen: 127.0.0.1:0, trusted_proxies: [10.0.0.0/33, 10.0.0.1/8]}\n",
       {"1:50 gateway.trusted_proxies[0]: '10.0.0.0/33' has a bad prefix length; it is a number from 0 to 32",
        "1:63 gateway.trusted_proxies[1]: '10.0.0.1/8' has bits set below its prefix; write the network's first "
        "address, or a host without a prefix"}},
      {"gateway: {listen: 127.0.0.1:0, trusted_proxies: 10.0.0.0/8}\n",
       {"1:49 gateway.trusted_proxies must be a list, not a single value"}},
      {"gateway: {listen: 127.0.0.1:0, max_body: 1mb}\n",
       {"1:42 gateway.max_body: '1mb' is not a size; write it like 512, 64KiB, 1MiB or 5MB"}},
      {"gateway: {listen: 127.0.0.1:0, max_body: 0}\n",
       {"1:42 gateway.max_body: '0' is out of range; it goes from 1 to 100MiB"}},
      {"gateway: {listen: 127.0.0.1:0, max_connections: 0}\n",
       {"1:49 gateway.max_connections: '0' is out of range; it goes from 1 to 1000000"}},
      {"gateway: {listen: 127.0.0.1:0, max_connections_per_client: -1}\n",
       {"1:60 gateway.max_connections_per_client: '-1' is not a whole number"}},
      {"gateway: {listen: 127.0.0.1:0, rate_per_client: 20, min_body_rate: 500/s}\n",
       {"1:49 gateway.rate_per_client: '20' is not a rate; write it like 100/s, 30/m or 5/h",
        "1:68 gateway.min_body_rate: '500/s' is not a size; write it like 512, 64KiB, 1MiB or 5MB"}},
      {"gateway: {listen: 127.0.0.1:0, deadlines: {haed: 1s, body: 25h}}\n",
       {"1:44 unknown key 'haed'; did you mean 'head'?",
        "1:60 gateway.deadlines.body: '25h' is out of range; it goes from 1ms to 1d"}},
      {"gateway: {listen: 127.0.0.1:0, log_level: warning}\n",
       {"1:43 gateway.log_level: 'warning' is not known; known: trace, debug, info, warn, error"}},
  });
}

TEST(Faults, Admin) {
  run_after_gateway({
      {"admin: {listen: 127.0.0.1:81}\n", {"2:9 admin.listen: needs admin.token; without it anybody is let in"}},
      {"admin: {token: ''}\n", {"2:16 admin.token: must not be empty"}},
      {"admin: {token: 'hush hush'}\n", {"2:16 admin.token: must be visible ASCII without spaces"}},
      {"admin: {listen: unix:/x, token: a}\n",
       {"2:17 admin.listen: 'unix:/x' is not an address; write HOST:PORT, like 127.0.0.1:8080 or \"[::1]:8080\"; names "
        "are not looked up"}},
      {"admin: {socket: ''}\n", {"2:17 admin.socket: '' has no path"}},
      {"admin: {allow_details: [nobody]}\n",
       {"2:25 admin.allow_details[0]: 'nobody' is not an address range; write it like 10.0.0.0/8, ::1/128 or "
        "192.0.2.7"}},
  });
  run({
      {"admin: {listen: 127.0.0.1:81, token: a, socket: /x}\ngateway: {listen: [127.0.0.1:81, 'unix:/x']}\n",
       {"1:17 admin.listen: '127.0.0.1:81' is gateway.listen's already (line 2)",
        "1:49 admin.socket: '/x' is gateway.listen's already (line 2)"}},
  });
}

TEST(Faults, Plugins) {
  run_after_gateway({
      {"plugins: [{library: a.so}]\n", {"2:11 plugins[0].name is missing"}},
      {"plugins:\n  - name: a\n", {"3:5 plugins[0].library is missing"}},
      {"plugins: [{name: A-b, library: a.so}]\n",
       {"2:18 plugins[0].name: 'A-b' is not a plugin's name; it is a lower-case letter, then at most 31 of a-z, 0-9 "
        "and "
        "_"}},
      {"plugins:\n  - {name: a, library: a.so}\n  - {name: a, library: b.so}\n",
       {"4:12 plugins[1].name: plugin 'a' is named twice; first in line 3"}},
      {"plugins: [{name: a, library: a.so, config: [x]}]\n",
       {"2:44 plugins[0].config must be a mapping (key: value), not a list"}},
      {"plugins: [{name: a, library: a.so, config: {n: 99999999999999999999, i: .inf, x: -0x1, f: 1e999}}]\n",
       {"2:48 plugins[0].config/n is too large for a number; quote it to make it a string",
        "2:73 plugins[0].config/i is no number in JSON; quote it to make it a string",
        "2:91 plugins[0].config/f is too large for a number; quote it to make it a string"}},
      {"plugins: [{name: a, library: a.so, config: {a: {b: 1, b: 2}}}]\n",
       {"2:55 duplicate key 'b'; it is in line 2 already"}},
      {"plugins: [{name: a, library: a.so, retri: {}}]\n", {"2:36 unknown key 'retri'; did you mean 'retry'?"}},
      {"plugins: [{name: a, library: a.so, retry: {attempts: 0}}]\n",
       {"2:54 plugins[0].retry.attempts: '0' is out of range; it goes from 1 to 100"}},
      {"plugins: [{name: a, library: a.so, routes: [/x]}]\n",
       {"2:44 plugins[0].routes: must be a mapping (path: settings), not a list"}},
      {"plugins: [{name: a, library: a.so, events: [x]}]\n",
       {"2:44 plugins[0].events: must be a mapping (type: settings), not a list"}},
      {"plugins: [{name: a, library: a.so, events: {x.*: {critcal: true}, y: {critical: 5}}}]\n",
       {"2:51 unknown key 'critcal'; did you mean 'critical'?",
        "2:81 plugins[0].events['y'].critical: '5' is neither true nor false"}},
      {"plugins: [{name: postern, library: a.so}]\n",
       {"2:18 plugins[0].name: 'postern' is the gateway's own name; give the plugin another"}},
      {"plugins: [{name: a, library: a.so, routes: {/x: {dedupe: {window: 1s}}}}]\n",
       {"2:67 plugins[0].routes['/x'].dedupe.window: '1s' is out of range; it goes from 1m to 365d"}},
      {"plugins: [{name: a, library: a.so, routes: {x: {}}}]\n",
       {"2:45 plugins[0].routes: 'x' is not a route's path; it begins with /"}},
      {"plugins:\n  - name: a\n    library: a.so\n    routes:\n      /x: {wiat: 5s, rate: 5, reject_status: 404}\n"
       "      /y: {wait: 2h, rate: 0/s, allow: [x], max_body: 0, ordered: 1}\n",
       {"6:12 unknown key 'wiat'; did you mean 'wait'?",
        "6:28 plugins[0].routes['/x'].rate: '5' is not a rate; write it like 100/s, 30/m or 5/h",
        "6:46 plugins[0].routes['/x'].reject_status: '404' is not 400, 401 or 403",
        "7:18 plugins[0].routes['/y'].wait: '2h' is out of range; it goes from 0 to 1h",
        "7:28 plugins[0].routes['/y'].rate: '0/s' would let nothing through; a rate is at least 1/h",
        "7:41 plugins[0].routes['/y'].allow[0]: 'x' is not an address range; write it like 10.0.0.0/8, ::1/128 or "
        "192.0.2.7",
        "7:55 plugins[0].routes['/y'].max_body: '0' is out of range; it goes from 1 to 100MiB",
        "7:67 plugins[0].routes['/y'].ordered: '1' is neither true nor false"}},
      {"plugins: [{name: a, library: a.so, routes: {/x: {deadline: 99ms}, /y: {deadline: 61m}, /z: {deadlines: 1s}}}]\n",
       {"2:60 plugins[0].routes['/x'].deadline: '99ms' is out of range; it goes from 100ms to 1h",
        "2:82 plugins[0].routes['/y'].deadline: '61m' is out of range; it goes from 100ms to 1h",
        "2:93 unknown key 'deadlines'; did you mean 'deadline'?"}},
  });
}

TEST(Faults, Subscriptions) {
  run_after_gateway({
      {"plugins: [{name: mailer, library: m.so}]\nsubscriptions:\n  - {on: a.b, plugin: maler}\n",
       {"4:23 subscriptions[0].plugin: no plugin is named 'maler'; did you mean 'mailer'?"}},
      {"subscriptions: [{on: a.b, plugin: mailer}]\n", {"2:35 subscriptions[0].plugin: no plugin is named 'mailer'"}},
      {"subscriptions:\n  - {with: {}}\n",
       {"3:5 subscriptions[0].on is missing", "3:5 subscriptions[0].plugin is missing"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions:\n  - {on: a.b, plugin: m}\n  - {on: a.b, plugin: m}\n",
       {"5:10 subscriptions[1].on: this plugin has such a subscription already (first in line 4); give one of them a "
        "name"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions:\n  - {on: a, plugin: m, name: x}\n  - {on: b, plugin: m, "
       "name: x}\n",
       {"5:30 subscriptions[1].name: this plugin has a subscription named 'x' already; first in line 4"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions: [{on: 'a b', plugin: m, with: 5}]\n",
       {"3:22 subscriptions[0].on: must be at most 256 visible ASCII characters",
        "3:46 subscriptions[0].with must be a mapping (key: value), not a single value"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions:\n  - {on: a, plugin: m, when: [{json: /a, header: b, is: x}, {form: c}, {is: x}]}\n",
       {"4:31 subscriptions[0].when[0] needs one of json, form, header: where the value is",
        "4:61 subscriptions[0].when[1] needs a test: is, is_not, exists, at_least or at_most",
        "4:72 subscriptions[0].when[2] needs one of json, form, header: where the value is"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions:\n  - {on: a, plugin: m, when: {json: /a}}\n",
       {"4:30 subscriptions[0].when must be a list, not a mapping"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions:\n  - {on: a, plugin: m, when: [{json: /a, at_least: 2, at_most: 1}, {json: /b, is: []}]}\n",
       {"4:31 subscriptions[0].when[0]: at_least is more than at_most, so it would never hold",
        "4:83 subscriptions[0].when[1].is: must be one text, or a list of 1 to 100"}},
      {"plugins: [{name: m, library: m.so}]\nsubscriptions:\n  - {on: a, plugin: m, when: [{json: /a, iz: 1}, {json: /b, exists: perhaps}]}\n",
       {"4:31 subscriptions[0].when[0] needs a test: is, is_not, exists, at_least or at_most",
        "4:42 unknown key 'iz'; did you mean 'is'?",
        "4:69 subscriptions[0].when[1].exists: 'perhaps' is neither true nor false"}},
  });
}

TEST(Faults, AllInOnePassInTheOrderOfTheFile) {
  EXPECT_THAT(
      told(load_text("subscriptions:\n"
                     "  - {on: a.b, plugin: nobody}\n"
                     "plugins:\n"
                     "  - name: Bad\n"
                     "    config: {key: \"${env:POSTERN_TEST_UNSET}\"}\n"
                     "dedupe: {window: soon}\n"
                     "dispatch:\n"
                     "  workers: 0\n"
                     "  retry: {attempts: none, jitter: 2}\n"
                     "gateway:\n"
                     "  lisen: 127.0.0.1:80\n"
                     "  public_url: https://your-domain.com\n"
                     "  trusted_proxies: [10.0.0.0/99]\n"
                     "store: {kind: mysql}\n"
                     "store: {}\n")),
      ElementsAre("2:23 subscriptions[0].plugin: no plugin is named 'nobody'",
                  "4:5 plugins[0].library is missing", HasSubstr("4:11 plugins[0].name: 'Bad' is not"),
                  "5:19 plugins[0].config/key: environment variable POSTERN_TEST_UNSET is not set; export it or "
                  "use ${file:…}",
                  HasSubstr("6:18 dedupe.window: 'soon'"), HasSubstr("8:12 dispatch.workers: '0'"),
                  HasSubstr("9:21 dispatch.retry.attempts: 'none'"), HasSubstr("9:35 dispatch.retry.jitter: '2'"),
                  "10:1 gateway.listen is missing", "11:3 unknown key 'lisen'; did you mean 'listen'?",
                  HasSubstr("12:15 gateway.public_url: 'https://your-domain.com' is a placeholder"),
                  HasSubstr("13:21 gateway.trusted_proxies[0]"), HasSubstr("14:15 store.kind: 'mysql'"),
                  "15:1 duplicate key 'store'; it is in line 14 already"));
}

TEST(Faults, ColumnsCountCharactersAndAByteOrderMarkIsNone) {
  EXPECT_THAT(told(load_text("\xEF\xBB\xBF"
                             "größe: 1\n" +
                             kGateway)),
              ElementsAre(HasSubstr("1:1 unknown key 'größe'")));
  EXPECT_THAT(told(load_text(kGateway + "plugins: [{name: 'ä', größe: 1}]\n")),
              ElementsAre("2:11 plugins[0].library is missing", HasSubstr("2:18 plugins[0].name: 'ä'"),
                          HasSubstr("2:23 unknown key 'größe'")));
  EXPECT_THAT(told(load_text("gateway:\r\n  listen: 127.0.0.1:0\r\n  lops: 1\r\n")),
              ElementsAre("3:3 unknown key 'lops'; did you mean 'loops'?"));
}

// A place is found by counting on, also when places do not come in order (an empty item's is before the next token).
TEST(Faults, PlacesOnLongAndMixedLines) {
  EXPECT_THAT(
      told(load_text("ä: [ö, [ü], {ß: , ß: 1}]\nadmin:\n  allow_details:\n    -\n    # none\n    -   # ä\n    - 1\n" +
                     kGateway)),
      ElementsAre(HasSubstr("1:1 unknown key 'ä'"), "1:19 duplicate key 'ß'; it is in line 1 already",
                  "4:5 admin.allow_details[0] must be a single value, not nothing",
                  "6:5 admin.allow_details[1] must be a single value, not nothing",
                  HasSubstr("7:7 admin.allow_details[2]: '1'")));
}

TEST(Faults, AFaultBehindSeveralAliasesIsToldOnce) {
  EXPECT_THAT(told(load_text(kGateway + "dispatch: {retry: {base: &b 5x, cap: *b}, deadline: *b, drain: 1s}\n")),
              ElementsAre(HasSubstr("2:26 dispatch.retry.base"), HasSubstr("2:26 dispatch.retry.cap"),
                          HasSubstr("2:26 dispatch.deadline")));
  EXPECT_THAT(
      told(load_text(kGateway + "dispatch: {retry: &r {atempts: 3}}\n"
                                "plugins: [{name: a, library: a, retry: *r}, {name: b, library: b, retry: *r}]\n")),
      ElementsAre("2:23 unknown key 'atempts'; did you mean 'attempts'?"));
}

TEST(Faults, Files) {
  const TempFolder folder;
  const auto fault = [](const std::string& path) {
    const Loaded loaded = load_config(path);
    return loaded.faults.size() == 1 ? to_text("f", loaded.faults[0]) : "";
  };
  EXPECT_EQ(fault(folder.path()), "f:1:1: the file is a folder");
  EXPECT_EQ(fault(folder.path() + "/nothing.yaml"), "f:1:1: the file does not exist");
  EXPECT_EQ(fault("/dev/zero"), "f:1:1: the file is not a regular file");
  EXPECT_EQ(fault(folder.write("big.yaml", std::string((1 << 20) + 1, '#'))),
            "f:1:1: the file is longer than 1024 KiB");
  EXPECT_EQ(fault(folder.write("full.yaml", std::string(1 << 20, '#'))), "f:1:1: the file is empty");
}

TEST(Faults, Bounds) {
  const auto nested = [](int levels) {
    return kGateway + "plugins: [{name: a, library: a, config: {x: " + std::string(levels, '[') +
           std::string(levels, ']') + "}}]\n";
  };
  EXPECT_THAT(told(load_text(nested(60))), ElementsAre());
  EXPECT_THAT(told(load_text(nested(61))), ElementsAre("2:105 nested deeper than 64 levels"));
  EXPECT_THAT(told(load_text(nested(100000))), ElementsAre("2:105 nested deeper than 64 levels"));

  std::string laughs = kGateway + "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before = std::string("*") + static_cast<char>(c - 1);
    laughs += fmt::format("{0}: &{0} [{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}]\n", c, before);
  }
  EXPECT_THAT(told(load_text(laughs)), ElementsAre(HasSubstr("more than 100000 values, aliases counted")));

  std::string deep = kGateway + "a0: &a0 [x]\n";
  for (int i = 1; i < 70; ++i) deep += fmt::format("a{0}: &a{0} [*a{1}]\n", i, i - 1);
  EXPECT_THAT(told(load_text(deep)), ElementsAre(HasSubstr("nested deeper than 64 levels")));

  std::string wide = kGateway + "a: &a " + std::string(500000, 'x') + "\nb: [";
  for (int i = 0; i < 100; ++i) wide += "*a, ";
  EXPECT_THAT(told(load_text(wide + "]\n")), ElementsAre(HasSubstr("bytes of values, aliases counted")));

  std::string pointers = kGateway + "plugins: [{name: a, library: a, config: {? " + std::string(100000, 'k') + " : [";
  for (int i = 0; i < 1000; ++i) pointers += "1, ";
  EXPECT_THAT(told(load_text(pointers + "]}}]\n")), ElementsAre(HasSubstr("plugins[0].config is too large")));
}

}  // namespace
}  // namespace postern::config
