// postern verify: why a provider's signature is, or is not, accepted.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/admission/public_urls.h"
#include "core/base/clock.h"
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/cli/raw_request.h"

namespace postern::cli {
namespace {

using nlohmann::json;
using SchemePtr = std::shared_ptr<const signature::Scheme>;

// A scheme by the name that a person gives it: "standard", or "PLUGIN:SCHEME" where it is another plugin's.
struct Named {
  std::string name;
  SchemePtr scheme;
};

struct VerifyOptions {
  std::string plugin, file, scheme, secret, url, peer;
  int64_t at = -1;  // Unix seconds; -1: now
};

struct Outcome {
  bool accepted = false;
  std::string reason;
  std::string scheme;
  std::vector<std::string> steps;
};

const plugin::Instance* find_plugin(const Ready& ready, const std::string& name) {
  std::string known;
  for (const auto& instance : ready.assembly->instances()) {
    if (instance->name() == name) return instance.get();
    known += (known.empty() ? "" : ", ") + instance->name();
  }
  complain("postern: no plugin '" + printable(name) + "' is configured; there are: " + (known.empty() ? "none" : known));
  return nullptr;
}

std::vector<Named> schemes_of(const ingest::Route& route) {
  std::vector<Named> schemes;
  for (const auto& use : route.schemes) schemes.push_back({use.label(), use.scheme});
  return schemes;
}

// The plugin's own, and those of others that its routes name.
std::vector<Named> schemes_of(const Ready& ready, const plugin::Instance& plugin) {
  std::vector<Named> schemes;
  for (const SchemePtr& scheme : plugin.registrations().schemes) schemes.push_back({scheme->name(), scheme});
  for (const auto& route : ready.assembly->routes().routes()) {
    if (route->provider != plugin.name()) continue;
    for (Named& used : schemes_of(*route)) {
      bool known = std::any_of(schemes.begin(), schemes.end(), [&](const Named& other) { return other.scheme == used.scheme; });
      if (!known) schemes.push_back(std::move(used));
    }
  }
  return schemes;
}

// The schemes in the order in which the gateway looks at them: the route's where one takes the request, else the plugin's.
std::vector<Named> schemes_for(const Ready& ready, const plugin::Instance& plugin, const http::Request& request, Outcome& outcome) {
  const ingest::RouteTable& routes = ready.assembly->routes();
  auto match = routes.router().match(request.method(), request.path());
  if (match.kind == http::Router::Match::Kind::kFound && routes.route(match.id).provider == plugin.name()) {
    outcome.steps.push_back("route: " + routes.route(match.id).method + " " + routes.route(match.id).path);
    return schemes_of(routes.route(match.id));
  }
  outcome.steps.push_back("route: none of the plugin's takes " + printable(request.method()) + " " + printable(request.path()) +
                          "; only the signature is looked at");
  return schemes_of(ready, plugin);
}

std::string joined_headers(const std::vector<Named>& schemes) {
  std::string text;
  for (const Named& named : schemes) text += (text.empty() ? "" : ", ") + named.scheme->header();
  return text.empty() ? "none" : text;
}

Named choose(const std::vector<Named>& schemes, const http::Request& request, Outcome& outcome) {
  auto found = std::find_if(schemes.begin(), schemes.end(), [&](const Named& s) { return s.scheme->applies_to(request); });
  if (found == schemes.end()) {
    outcome.reason = "it has no signature header of the plugin's schemes; looked for: " + joined_headers(schemes);
    return {};
  }
  outcome.steps.push_back("scheme: " + found->name + ", since the request has the header " + found->scheme->header());
  return *found;
}

const char* how_forwarded_counts(const admission::UrlSource& source) {
  if (!source.public_url.empty()) return "not looked at, gateway.public_url says the address";
  if (source.trusted_proxies.empty()) return "not believed, gateway.trusted_proxies is empty";
  return "believed, as from one of gateway.trusted_proxies; --peer ADDRESS says who really sent them";
}

// By which URLs the provider may have called: as the gateway would find out, unless the person says it.
std::vector<std::string> urls_for(const Ready& ready, const http::Request& request, const VerifyOptions& wanted, Outcome& outcome) {
  auto trusted = admission::AddressList::parse(ready.config.trusted_proxies);
  admission::UrlSource source{ready.config.public_url, trusted ? std::move(*trusted) : admission::AddressList()};
  std::string peer = wanted.peer;
  if (!wanted.url.empty()) {
    source.public_url = wanted.url;
    while (source.public_url.ends_with('/')) source.public_url.pop_back();
    return admission::public_urls(request, "-", source);
  }
  if (peer.empty()) {
    peer = "unix";  // a trusted one
    bool forwarded = false;
    for (const char* name : {"forwarded", "x-forwarded-host", "x-forwarded-proto"}) forwarded = forwarded || request.count(name) > 0;
    if (forwarded) outcome.steps.emplace_back(std::string("forwarded headers: ") + how_forwarded_counts(source));
  }
  return admission::public_urls(request, peer, source);
}

Outcome judge(const Ready& ready, const plugin::Instance& plugin, const Named& named, const VerifyOptions& wanted, std::string bytes) {
  Outcome outcome;
  auto raw = parse_raw_request(std::move(bytes));
  if (!raw) {
    outcome.reason = raw.status().message();
    return outcome;
  }
  const http::Request& request = raw->request;
  outcome.steps = raw->notes;
  const Named chosen = named.scheme ? named : choose(schemes_for(ready, plugin, request, outcome), request, outcome);
  SchemePtr scheme = chosen.scheme;
  if (!scheme) return outcome;
  if (named.scheme) outcome.steps.push_back("scheme: " + named.name + ", as asked for");
  outcome.scheme = chosen.name;
  if (!wanted.secret.empty()) {
    auto other = scheme->with_secrets({wanted.secret});
    if (!other) {
      outcome.reason = "--secret: " + other.status().message();
      return outcome;
    }
    scheme = *other;
    outcome.steps.emplace_back("secret: the one of --secret");
  }
  int64_t now_ms = wanted.at < 0 ? wall_ms() : wanted.at * 1000;
  outcome.steps.push_back("time: " + iso8601(now_ms) + (wanted.at < 0 ? ", now" : ", as asked for"));
  signature::Explanation explanation;
  std::vector<std::string> urls = urls_for(ready, request, wanted, outcome);
  signature::Verdict verdict = scheme->verify({request, now_ms, urls, wanted.peer}, &explanation);
  outcome.steps.insert(outcome.steps.end(), explanation.lines().begin(), explanation.lines().end());
  outcome.accepted = verdict == signature::Verdict::kAccepted;
  outcome.reason = outcome.accepted ? "" : signature::to_text(verdict);
  return outcome;
}

void show(const Outcome& outcome, const std::string& plugin, bool as_json) {
  if (as_json) {
    json steps = json::array();
    for (const std::string& step : outcome.steps) steps.push_back(step);
    return print_json({{"verdict", outcome.accepted ? "accept" : "reject"},
                       {"reason", outcome.reason.empty() ? json(nullptr) : json(outcome.reason)},
                       {"plugin", plugin},
                       {"scheme", outcome.scheme.empty() ? json(nullptr) : json(outcome.scheme)},
                       {"steps", steps}});
  }
  print(outcome.accepted ? paint("accept", Colour::kGreen) : paint("reject", Colour::kRed) + ": " + printable(outcome.reason));
  for (const std::string& step : outcome.steps) print("  " + printable(step));
}

int verify(const Options& options, const VerifyOptions& wanted) {
  std::ifstream file(wanted.file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file) return complain("postern: cannot read " + printable(wanted.file)), kUsage;
  auto ready = assemble_or_tell(options.config_file);
  if (!ready) return kNotSo;
  const plugin::Instance* plugin = find_plugin(*ready, wanted.plugin);
  if (plugin == nullptr) return kUsage;
  Named named;
  std::string known;
  for (const Named& scheme : schemes_of(*ready, *plugin)) {
    if (scheme.name == wanted.scheme) named = scheme;
    known += (known.empty() ? "" : ", ") + scheme.name;
  }
  if (!wanted.scheme.empty() && !named.scheme) {
    complain("postern: plugin " + wanted.plugin + " has no scheme '" + printable(wanted.scheme) +
             "'; it has: " + (known.empty() ? "none" : known));
    return kUsage;
  }
  Outcome outcome = judge(*ready, *plugin, named, wanted, std::move(bytes));
  show(outcome, wanted.plugin, options.json);
  return outcome.accepted ? kDone : kNotSo;
}

}  // namespace

void add_verify(CLI::App& app, const Options& options, int& status) {
  auto wanted = std::make_shared<VerifyOptions>();
  auto* command = app.add_subcommand("verify", "Check the signature of one saved HTTP request, and say why it is accepted or not");
  command->add_option("PLUGIN", wanted->plugin, "A plugin of the configuration")->required();
  command->add_option("--request", wanted->file, "The request as it came: request line, headers, empty line, body")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--scheme", wanted->scheme, "One of the plugin's schemes, or of those of other plugins (PLUGIN:SCHEME) that its routes name; default: the one whose header the request has");
  command->add_option("--secret", wanted->secret, "Try this secret instead of the configured ones");
  command->add_option("--at", wanted->at, "Unix seconds: as if the request came then; default: now")->check(CLI::NonNegativeNumber);
  command->add_option("--url", wanted->url, "Public base URL, instead of gateway.public_url: https://hooks.mycompany.com");
  command->add_option("--peer", wanted->peer, "Who was connected, for gateway.trusted_proxies; default: a trusted proxy");
  command->footer(
      "Prints `accept` or `reject` with the reason, then what was looked at, step by step; never a secret, nor the right signature.\n"
      "Exit status 0 accept, 1 reject.\n\nExamples:\n"
      "  postern verify PLUGIN --request saved.http --at 1763610185\n"
      "  postern verify PLUGIN --request saved.http --secret \"$NEW_SECRET\"\n"
      "  postern verify PLUGIN --request saved.http --url https://hooks.mycompany.com --json");
  command->callback([&options, &status, wanted] { status = verify(options, *wanted); });
}

}  // namespace postern::cli
