// The plugin as the gateway has it, in a host without one, and a mail server. Thread-safety: one test at a time.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postern/ext/health.h"
#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"
#include "tests/support/places.h"
#include "tests/unit/smtp/mail_server.h"

namespace smtp_test {

using postern::testing::Event;
using postern::testing::FakeHost;
using postern::testing::Settled;

class SmtpPluginTest : public TransportTest {
 protected:
  json config() const {
    json made = {{"host", server_.host},
                 {"port", server_.port},
                 {"tls", server_.tls == Tls::kNone ? "none" : "starttls"},
                 {"ehlo_name", "gateway.example.com"},
                 {"connect_timeout", "2s"},
                 {"deadline", "5s"},
                 {"connections", 1},
                 {"from", "Postern <postern@example.com>"},
                 {"templates", {{"welcome", {{"subject", "Welcome, {{name}}"}, {"text", "Hello {{name}}"}, {"html", "<p>Hello {{name}}</p>"}}}}}};
    if (!server_.ca_file.empty()) made["ca_file"] = server_.ca_file;
    if (!server_.user.empty()) made.update({{"user", server_.user}, {"password", server_.password}});
    return made;
  }
  FakeHost& host(const json& more = json::object(), postern::testing::Options options = {}) {
    if (host_) return *host_;
    static const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/smtp.so"));
    if (!loaded) throw std::runtime_error(loaded.error);
    if (options.name == "plugin") options.name = "smtp";
    host_ = std::make_unique<FakeHost>(*loaded.entry, std::move(options));
    json whole = config();
    whole.update(more);
    const auto started = host_->start(whole.dump());
    if (!started.ok()) throw std::runtime_error("start: " + started.error);
    return *host_;
  }
  // To its end.
  Settled deliver(const Event& event) {
    const Settled first = host().deliver(event);
    return first.outcome == POSTERN_PENDING ? host().await(first.delivery) : first;
  }
  Settled again(const Settled& before) {
    const Settled next = host().redeliver(before.delivery);
    return next.outcome == POSTERN_PENDING ? host().await(next.delivery) : next;
  }
  Settled order(const json& body) { return deliver({.type = "smtp.send", .body = body.dump()}); }
  static json simple(const json& more = json::object()) {
    json made = {{"to", "ann@example.com"}, {"subject", "Hello"}, {"text", "Hi"}};
    made.update(more);
    return made;
  }
  // The nth mail that the server has, as Python's `email` reads it.
  json mail(size_t n = 0) const { return read_with_python(decoded(mail_server_->mails().at(n)["content"])); }
  size_t arrived() const { return mail_server_->mails().size(); }
  void TearDown() override {
    if (host_) {
      EXPECT_THAT(host_->misuses(), ::testing::IsEmpty());
    }
  }

  std::unique_ptr<FakeHost> host_;
};

}  // namespace smtp_test
