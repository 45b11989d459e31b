#include <iostream>
#include <postern/testing/fake_host.h>
#include <postern/testing/load_plugin.h>

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "not so: " << what << '\n';
  ++failures;
}

}  // namespace

int main() {
  auto plugin = postern::testing::load_plugin(PLUGIN);
  expect(static_cast<bool>(plugin), "the plugin can be loaded");
  if (!plugin) return 1;

  postern::testing::FakeHost without_secret(*plugin.entry, {.name = "orders"});
  expect(!without_secret.start("{}").ok(), "a configuration without a secret is refused");

  postern::testing::FakeHost host(*plugin.entry, {.name = "orders"});
  expect(host.start(R"({"secrets": ["s3cret"]})").ok(), "the plugin starts");
  auto settled = host.deliver({.type = "order.paid", .body = R"({"id":"1","total":1250})", .external_id = "1"});
  expect(settled.done(), "an order is handled");
  expect(host.record("orders", "1").has_value(), "it is kept");
  expect(settled.emitted.size() == 1, "and its acceptance is told");
  expect(!host.deliver({.type = "order.paid", .body = "{}", .external_id = "2"}).done(), "one without a total is not");
  expect(host.misuses().empty(), "nothing is used in a way that a gateway may not survive");
  return failures == 0 ? 0 : 1;
}
