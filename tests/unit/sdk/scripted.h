// A plugin that each test writes for itself, in the C++ wrapper, and the fake host that runs it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "postern/plugin.hpp"
#include "postern/testing/fake_host.h"

namespace postern::testing {

struct Script {
  std::function<void(postern::Setup&, std::string_view)> init;
  std::function<void()> activate = [] {};
  std::function<void()> deactivate = [] {};
  bool destroyed = false;
};
inline Script* script = nullptr;

class Scripted final : public Plugin {
 public:
  ~Scripted() override { script->destroyed = true; }
  void init(postern::Setup& setup, std::string_view config) override {
    setup.on("member.void", &Scripted::handle_void);
    setup.on("member.outcome", &Scripted::handle_outcome);
    setup.reply({.path = "/member", .without_signature = true}, &Scripted::reply);
    script->init(setup, config);
  }
  void activate() override { script->activate(); }
  void deactivate(milliseconds) override { script->deactivate(); }

 private:
  void handle_void(Delivery& delivery) { delivery.set_result("1"); }
  Outcome handle_outcome(Delivery&) { return Outcome::dead("as a member"); }
  Response reply(Exchange& exchange) { return {.body = "member of " + std::string(exchange.target())}; }
};

inline constexpr auto kRequires = detail::literals(POSTERN_EXT_EVENTS, POSTERN_EXT_RECORDS, POSTERN_EXT_HTTP);
inline constexpr postern_plugin_entry kEntry =
    make_entry<Scripted>("scripted", "1.0", "build", kRequires.data(), kRequires.size());

class ScriptedTest : public ::testing::Test {
 protected:
  ScriptedTest() { script = &script_; }
  ~ScriptedTest() override {
    host.reset();
    script = nullptr;
  }

  Started start(std::function<void(postern::Setup&, std::string_view)> init, Options options = {}) {
    script_.init = std::move(init);
    host = std::make_unique<FakeHost>(kEntry, std::move(options));
    return host->start("{}");
  }
  // A host whose plugin handles the type "e" so.
  template <typename F>
  void start_with(F handler) {
    ASSERT_TRUE(start([handler](postern::Setup& setup, std::string_view) { setup.on("e", handler); }).ok());
  }
  // A host whose plugin answers POST /r so.
  template <typename F>
  void start_reply(F handler, Options options = {}) {
    auto started = start(
        [handler](postern::Setup& setup, std::string_view) { setup.reply({.path = "/r", .without_signature = true}, handler); },
        std::move(options));
    ASSERT_TRUE(started.ok()) << started.error;
  }
  Settled deliver(std::string type = "e") { return host->deliver({.type = std::move(type)}); }

  Script script_;
  std::unique_ptr<FakeHost> host;
};

}  // namespace postern::testing
