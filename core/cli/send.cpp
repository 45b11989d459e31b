// postern send
#include <Poco/Exception.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPSClientSession.h>
#include <Poco/Net/SSLException.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/base/clock.h"
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/cli/sample_request.h"
#include "core/http/request.h"

namespace postern::cli {
namespace {

using nlohmann::json;

struct SendOptions {
  std::string plugin, sample, to, id, cacert, cert, key;
  bool insecure = false;
  uint32_t count = 1;
  bool forge = false;
};

struct Answer {
  int status = 0;
  std::string body;
};

// How a server's certificate is checked, and what it is shown.
Poco::Net::Context::Ptr sending_context(const SendOptions& wanted) {
  using Poco::Net::Context;
  Context::VerificationMode mode = wanted.insecure ? Context::VERIFY_NONE : Context::VERIFY_STRICT;
  constexpr int kDepth = 9;
  Context::Ptr context(new Context(Context::CLIENT_USE, wanted.key, wanted.cert, wanted.cacert, mode, kDepth, wanted.cacert.empty()));
  context->enableExtendedCertificateVerification(!wanted.insecure);
  return context;
}

// Where to send: a URL, or the address of a listener ("127.0.0.1:8080", "unix:/path").
class Sender {
 public:
  Sender(const std::string& to, const SendOptions& wanted) {
    using namespace Poco::Net;
    if (to.starts_with("unix:")) {
      session_ = std::make_unique<HTTPClientSession>(StreamSocket(SocketAddress(SocketAddress::UNIX_LOCAL, to.substr(5))));
      host_ = "localhost";
    } else {
      Poco::URI uri(to.find("://") == std::string::npos ? "http://" + to : to);
      prefix_ = uri.getPathEtc();
      while (prefix_.ends_with('/')) prefix_.pop_back();
      host_ = uri.getAuthority();
      if (uri.getScheme() == "https") {
        session_ = std::make_unique<HTTPSClientSession>(uri.getHost(), uri.getPort(), sending_context(wanted));
      } else {
        session_ = std::make_unique<HTTPClientSession>(uri.getHost(), uri.getPort());
      }
    }
    session_->setKeepAlive(true);
    session_->setTimeout(Poco::Timespan(30, 0));
  }

  Answer send(const SampleRequest& sample) {
    using namespace Poco::Net;
    HTTPRequest request(sample.method, prefix_ + sample.target, HTTPMessage::HTTP_1_1);
    request.set("Host", host_);
    request.setKeepAlive(true);
    for (const auto& [name, value] : sample.headers) request.set(name, value);
    request.setContentLength(static_cast<std::streamsize>(sample.body.size()));
    session_->sendRequest(request) << sample.body;
    HTTPResponse response;
    Answer answer;
    std::istream& stream = session_->receiveResponse(response);
    Poco::StreamCopier::copyToString(stream, answer.body);
    answer.status = response.getStatus();
    return answer;
  }

 private:
  std::unique_ptr<Poco::Net::HTTPClientSession> session_;
  std::string host_, prefix_;
};

const plugin::Sample* find_sample(const Ready& ready, const SendOptions& wanted) {
  std::string known;
  for (const auto& instance : ready.assembly->instances()) {
    if (instance->name() != wanted.plugin) {
      known += (known.empty() ? "" : ", ") + instance->name();
      continue;
    }
    std::string samples;
    for (const plugin::Sample& sample : instance->registrations().samples) {
      if (sample.name == wanted.sample) return &sample;
      samples += (samples.empty() ? "" : ", ") + sample.name;
    }
    complain("postern: plugin " + wanted.plugin + " has no sample '" + printable(wanted.sample) +
             "'; it has: " + (samples.empty() ? "none" : samples));
    return nullptr;
  }
  complain("postern: no plugin '" + printable(wanted.plugin) + "' is configured; there are: " + (known.empty() ? "none" : known));
  return nullptr;
}

// The body is no longer the one that was signed: a space more, where JSON allows one.
void forge(SampleRequest& request) {
  size_t end = request.body.find_last_of('}');
  request.body.insert(end == std::string::npos ? request.body.size() : end, " ");
}

// A scheme that signs shows nothing by it; one that compares a token sends the token itself.
std::string shown(const std::string& name, const std::string& value) {
  if (!http::equals_ignoring_case(name, "authorization")) return printable(value);
  return printable(value.substr(0, value.find(' '))) + " ***";
}

void print_exchange(const SampleRequest& request, const Answer& answer) {
  print(paint("→ " + request.method + " " + request.target, Colour::kBold));
  for (const auto& [name, value] : request.headers) print("  " + name + ": " + shown(name, value));
  print("  " + printable(request.body));
  bool good = answer.status / 100 == 2;
  print(paint("← " + std::to_string(answer.status), good ? Colour::kGreen : Colour::kRed) + "  " + printable(answer.body));
}

void print_progress(uint32_t done, uint32_t count) {
  if (::isatty(STDERR_FILENO) != 1 || count < 100 || (done % 100 != 0 && done != count)) return;
  std::cerr << "\r" << done << " of " << count << (done == count ? "\n" : "") << std::flush;
}

// The first listener that takes what we send: one with proxy_protocol wants a header before it, from a proxy. Its certificate is not
// checked: it is for the name that providers call, not for this address, and whoever could listen there instead has the machine already.
bool choose_listener(const config::Config& config, SendOptions& wanted) {
  for (const config::Listen& listen : config.listen) {
    if (listen.proxy_protocol || (listen.tls && listen.address.starts_with("unix:"))) continue;
    wanted.to = listen.tls ? "https://" + listen.address : listen.address;
    wanted.insecure = wanted.insecure || (listen.tls && wanted.cacert.empty());
    return true;
  }
  complain("postern: no listener of gateway.listen takes requests without a proxy: name where to send with --to");
  return false;
}

int send_all(const Ready& ready, const plugin::Sample& sample, const SendOptions& wanted, bool as_json) {
  Sender sender(wanted.to, wanted);
  json list = json::array();
  std::map<int, uint32_t> by_status;
  bool all_good = true;
  for (uint32_t i = 0; i < wanted.count; ++i) {
    auto request = make_request(ready.assembly->routes(), sample, ready.config.public_url, wanted.id, wall_ms());
    if (!request) {
      complain("postern: " + request.status().message());
      return kNotSo;
    }
    if (wanted.forge) forge(*request);
    Answer answer = sender.send(*request);
    ++by_status[answer.status];
    all_good = all_good && answer.status / 100 == 2;
    if (as_json) {
      json body = json::parse(answer.body, nullptr, false);
      list.push_back({{"id", request->id}, {"status", answer.status}, {"answer", body.is_discarded() ? json(answer.body) : body}});
    } else if (wanted.count == 1) {
      print_exchange(*request, answer);
    }
    print_progress(i + 1, wanted.count);
  }
  if (as_json) print_json(list);
  if (!as_json && wanted.count > 1) {
    for (const auto& [status, count] : by_status) print(std::to_string(count) + " × " + std::to_string(status));
  }
  return all_good ? kDone : kNotSo;
}

int send(const Options& options, SendOptions wanted) {
  auto ready = assemble_or_tell(options.config_file);
  if (!ready) return kNotSo;
  const plugin::Sample* sample = find_sample(*ready, wanted);
  if (sample == nullptr) return kNotSo;
  if (wanted.to.empty() && !choose_listener(ready->config, wanted)) return kUsage;
  try {
    return send_all(*ready, *sample, wanted, options.json);
  } catch (const Poco::SyntaxException& e) {
    complain("postern: --to is not a URL or address: " + e.displayText());
    return kUsage;
  } catch (const Poco::Net::SSLException& e) {
    complain("postern: no TLS with " + wanted.to + ": " + e.displayText() + "; see --cacert, --insecure, --cert");
    return kNotSo;
  } catch (const Poco::Exception& e) {
    complain("postern: nobody answers: " + e.displayText() + "; is the gateway running? Give another address with --to");
    return kNoGateway;
  }
}

}  // namespace

void add_send(CLI::App& app, const Options& options, int& status) {
  auto wanted = std::make_shared<SendOptions>();
  auto* command = app.add_subcommand("send", "Send a sample as the provider would: signed with your secret, to your gateway");
  command->add_option("PLUGIN", wanted->plugin, "A plugin of the configuration")->required();
  command->add_option("SAMPLE", wanted->sample, "One of its samples; see `postern plugins`")->required();
  command->add_option("--to", wanted->to, "URL or listener; default: the first of gateway.listen");
  command->add_option("--count", wanted->count, "How many, each with an id of its own")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  constexpr auto kPlain = [](const std::string& text) {
    bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
    return plain ? std::string() : std::string("an id has letters, digits, _ and -");
  };
  command->add_option("--id", wanted->id, "Use this id instead of a fresh one: sent twice, the second is a duplicate")->check(kPlain);
  command->add_flag("--forge", wanted->forge, "Change the body after signing: the gateway must refuse it");
  command->add_option("--cacert", wanted->cacert, "PEM file of authorities to check an https server by, instead of the system's")
      ->check(CLI::ExistingFile);
  command->add_flag("--insecure", wanted->insecure, "Do not check an https server's certificate; default for the gateway's own listener");
  auto* cert = command->add_option("--cert", wanted->cert, "PEM file of a client certificate")->check(CLI::ExistingFile);
  auto* key = command->add_option("--key", wanted->key, "Its private key")->check(CLI::ExistingFile);
  cert->needs(key);
  key->needs(cert);
  command->footer("Exit status 0 when every answer is a 2xx, else 1.\n\nExamples:\n  postern plugins\n  postern send PLUGIN SAMPLE\n"
                  "  postern send PLUGIN SAMPLE --count 1000 --to http://127.0.0.1:8080");
  command->callback([&options, &status, wanted] { status = send(options, *wanted); });
}

}  // namespace postern::cli
