// The mail servers of tests/support/mail, each a process of its own, and what they saw. Thread-safety: one test at a time.
#pragma once

#include <glib.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "smtp/transport.h"
#include "tests/support/eventually.h"
#include "tests/support/places.h"
#include "tests/support/process.h"
#include "tests/support/tls_material.h"
#include "tests/unit/smtp/composed.h"

namespace smtp_test {

using smtp::Class;
using smtp::Outcome;
using smtp::Server;
using smtp::Tls;
using smtp::Transport;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class MailServer {
 public:
  MailServer(const std::string& program, const json& script)
      : process_({.program = "/usr/bin/python3",
                  .args = {postern::testing::sources("tests/support/mail/" + program), script.dump()},
                  .env = {},
                  .out_file = {},
                  .err_file = {}}) {
    const auto told = [this] { return process_.out().starts_with("port ") && process_.out().find('\n') != std::string::npos; };
    if (!postern::testing::eventually(milliseconds(30'000), told)) throw std::runtime_error("no mail server: " + process_.err());
    port_ = static_cast<uint16_t>(std::stoi(process_.out().substr(5)));
  }

  uint16_t port() const { return port_; }
  std::vector<json> lines() const {
    std::vector<json> all;
    std::istringstream in(process_.out());
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("{") && line.ends_with("}")) all.push_back(json::parse(line));
    }
    return all;
  }
  std::vector<json> mails() const {
    std::vector<json> all;
    for (const json& line : lines()) {
      if (line.contains("mail")) all.push_back(line["mail"]);
    }
    return all;
  }
  // The commands as they came.
  std::vector<std::string> commands() const {
    std::vector<std::string> all;
    for (const json& line : lines()) {
      if (line.contains("line")) all.push_back(line["line"]);
    }
    return all;
  }
  size_t count(const std::string& beginning) const {
    const auto all = commands();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.starts_with(beginning); }));
  }
  size_t events(const std::string& event) const {
    const auto all = lines();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const json& one) { return one.value("event", "") == event; }));
  }
  // All that came without TLS.
  std::string in_clear() const {
    std::string all;
    for (const json& line : lines()) {
      if (line.contains("line") && !line["tls"].get<bool>()) all += line["line"].get<std::string>() + "\n";
    }
    return all;
  }

 private:
  postern::testing::Process process_;
  uint16_t port_ = 0;
};

inline std::string decoded(const json& base64) {
  gsize size = 0;
  const std::unique_ptr<guchar, decltype(&g_free)> bytes(g_base64_decode(base64.get<std::string>().c_str(), &size), &g_free);
  return {reinterpret_cast<const char*>(bytes.get()), size};
}
inline std::string encoded(const std::string& bytes) {
  const std::unique_ptr<gchar, decltype(&g_free)> text(g_base64_encode(reinterpret_cast<const guchar*>(bytes.data()), bytes.size()),
                                                       &g_free);
  return text.get();
}

constexpr const char* kUser = "postern@example.com";
constexpr const char* kPassword = "correct-horse-battery";
constexpr const char* kToken = "ya29.token-of-google";

class TransportTest : public ::testing::Test {
 protected:
  // The scripted server, whose script gets a certificate for "localhost" where it has TLS.
  void serve(const std::vector<json>& connections, const std::string& tls = "none", const json& more = json::object()) {
    json script = {{"tls", tls}, {"connections", connections}};
    script.update(more);
    start("scripted_server.py", script, tls);
  }
  void serve_strictly(const std::string& tls, const json& more = json::object()) {
    json options = {{"tls", tls}};
    options.update(more);
    start("aiosmtpd_server.py", options, tls);
  }
  void log_in() {
    server_.user = kUser;
    server_.password = kPassword;
  }

  Transport& transport() {
    if (!transport_) transport_ = std::make_unique<Transport>(server_);
    return *transport_;
  }
  static Draft to(const std::vector<std::string>& addresses) {
    Draft mail = draft();
    mail.to.clear();
    for (const auto& address : addresses) mail.to.push_back(smtp::parse_mailbox("to", address));
    return mail;
  }
  std::future<Outcome> submit(const Draft& mail = draft()) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    transport().submit(Message::compose(mail), [promise](const Outcome& outcome) { promise->set_value(outcome); });  // twice: it throws
    return future;
  }
  static Outcome wait(std::future<Outcome>& future) {
    if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready) throw std::runtime_error("no outcome");
    return future.get();
  }
  Outcome send(const Draft& mail = draft()) {
    auto future = submit(mail);
    return wait(future);
  }

  // No form of the credentials came without TLS.
  void expect_no_secret_in_clear() const {
    const std::string clear = mail_server_->in_clear();
    for (const std::string& secret : {std::string(kPassword), encoded(kPassword),
                                      encoded(std::string(1, '\0') + kUser + std::string(1, '\0') + kPassword), std::string("AUTH")}) {
      EXPECT_EQ(clear.find(secret), std::string::npos) << clear;
    }
  }

  postern::testing::TlsMaterial material_;
  std::optional<postern::testing::TlsMaterial::Authority> authority_;
  std::unique_ptr<MailServer> mail_server_;
  Server server_;
  std::unique_ptr<Transport> transport_;  // goes first

 private:
  void start(const char* program, json script, const std::string& tls) {
    if (tls != "none") {
      authority_ = material_.authority("authority");
      if (!script.contains("certificate")) {
        const auto pair = material_.pair(*authority_, "server", "DNS:localhost");
        script["certificate"] = pair.certificate;
        script["key"] = pair.key;
      }
      server_.ca_file = authority_->file;
    }
    mail_server_ = std::make_unique<MailServer>(program, script);
    server_.host = tls == "none" ? "127.0.0.1" : "localhost";
    server_.port = mail_server_->port();
    server_.tls = tls == "none" ? Tls::kNone : tls == "implicit" ? Tls::kImplicit : Tls::kStartTls;
    server_.ehlo_name = "gateway.example.com";
    server_.connect_timeout = milliseconds(5'000);
    server_.deadline = milliseconds(10'000);
    server_.final_reply = milliseconds(10'000);
    server_.connections = 1;
  }
};

}  // namespace smtp_test
