// postern_load: a load generator for webhooks. Each request is a new signed event; see tests/bench/README.md.
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

#include "tests/bench/load/options.h"
#include "tests/bench/load/report.h"
#include "tests/bench/load/worker.h"

namespace postern::load {
namespace {

constexpr int kUsage = 2;

constexpr const char* kExamples = R"(
Examples:
  postern_load --secret whsec_... --connections 256 --duration 10
  postern_load --secret whsec_... --requests 1000000 --conversations 1000 --json
  postern_load --secret whsec_... --duration 20 --rate 5000          # latency at a given rate
  postern_load --secret whsec_... --duration 10 --journal acked.txt --retry
  postern_load --scheme twilio --secret TOKEN --public-url https://hooks.example.com --duration 10
  postern_load --static --to 127.0.0.1:8088 --path / --duration 10   # another server, same bytes
The secret can also be given as $POSTERN_LOAD_SECRET, which keeps it out of the list of processes.
Exit: 0 done, 1 nothing was acknowledged or the work was given up, 2 wrong usage.)";

Target resolve(const Options& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(options.host.c_str(), options.port.c_str(), &hints, &found);
  if (error != 0) throw std::invalid_argument("--to " + options.host + ":" + options.port + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  Target target;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.size = found->ai_addrlen;
  return target;
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Ends the work early on SIGINT and SIGTERM; until the workers have ended, prints a line each second.
void watch_over(const Options& options, Shared& shared, const sigset_t& signals) {
  const bool progress = !options.json && !options.quiet && isatty(STDERR_FILENO) != 0;
  uint64_t before = 0;
  for (int tick = 1; shared.running > 0; ++tick) {
    const timespec pause{0, 20'000'000};
    if (sigtimedwait(&signals, nullptr, &pause) > 0) shared.stop = true;
    if (tick % 50 != 0 || !progress) continue;
    const uint64_t acked = shared.acked;
    fprintf(stderr, "%4d s  %8llu acks/s  %llu failures\n", tick / 50, static_cast<unsigned long long>(acked - before),
            static_cast<unsigned long long>(shared.failures.load()));
    before = acked;
  }
}

// The nth of `parts` shares that are as equal as whole numbers can be.
uint64_t share(uint64_t whole, uint32_t parts, uint32_t n) { return whole / parts + (n < whole % parts ? 1 : 0); }

int run(const Options& options) {
  const Target target = resolve(options);
  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint32_t i = 0; i < options.threads; ++i) {
    workers.push_back(std::make_unique<Worker>(
        options, target, shared, static_cast<uint32_t>(share(options.connections, options.threads, i)),
        share(options.requests, options.threads, i), options.rate / options.threads));
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  shared.running = static_cast<int>(options.threads);
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });
  watch_over(options, shared, signals);
  for (auto& thread : threads) thread.join();

  Figures figures;
  for (const auto& worker : workers) figures.merge(worker->figures());
  const std::string report = options.json ? report_as_json(options, figures, cpu_seconds())
                                          : report_for_people(options, figures, cpu_seconds());
  fputs(report.c_str(), stdout);
  if (!figures.failure.empty()) fprintf(stderr, "postern_load: %s\n", figures.failure.c_str());
  return figures.acked > 0 && figures.failure.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

void describe(CLI::App& app, Options& options, std::string& to) {
  const std::map<std::string, Scheme> schemes{
      {"standard", Scheme::kStandard}, {"legacy", Scheme::kLegacy}, {"own", Scheme::kOwn}, {"twilio", Scheme::kTwilio}};
  app.add_option("--to", to, "Where to send: HOST:PORT")->capture_default_str();
  app.add_flag("--tls", options.tls, "Over TLS; the server's certificate is not checked");
  app.add_option("--path", options.path,
                 "Target of the requests; default: /api/v1/webhooks/openphone, or …/incoming-call for twilio");
  app.add_option("--connections", options.connections, "Connections kept open")
      ->capture_default_str()
      ->check(CLI::Range(1, 60000));
  app.add_option("--threads", options.threads, "Threads that share them")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--duration", options.duration_s, "Seconds of load")->check(CLI::PositiveNumber);
  app.add_option("--requests", options.requests, "Number of requests (with --duration: what ends first)")
      ->check(CLI::PositiveNumber);
  app.add_option("--rate", options.rate, "Requests per second offered in all; 0: as fast as they are answered")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--scheme", options.scheme, "How events are signed")
      ->transform(CLI::CheckedTransformer(schemes))
      ->option_text("standard|legacy|own|twilio");
  app.add_option("--public-url", options.public_url,
                 "gateway.public_url, which Twilio signs; default: http:// and what --to says");
  app.add_option("--secret", options.secret, "Secret, as the gateway's configuration has it")
      ->envname("POSTERN_LOAD_SECRET");
  app.add_option("--body-size", options.body_size, "Bytes of a body")
      ->capture_default_str()
      ->check(CLI::Range(0, 64 << 20));
  app.add_option("--type", options.type, "Type of the events")->capture_default_str();
  app.add_option("--conversations", options.conversations, "Different conversations; 0: one for each event")
      ->capture_default_str();
  app.add_option("--duplicates", options.duplicates, "Share of requests that repeat an acknowledged id, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--static", options.fixed, "The same bytes each time, without a secret; for comparison with another server");
  app.add_flag("--retry", options.retry,
               "Send an event again when its connection broke before the answer, as providers do");
  app.add_option("--journal", options.journal, "Append the id of each acknowledged event to this file");
  app.add_flag("--unacked", options.journal_unacked, "And the ids whose fate is unknown to FILE.unacked");
  app.add_option("--timeout", options.timeout_s, "Seconds for an answer")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--give-up", options.give_up_s, "Seconds without any connection until the work is given up")
      ->capture_default_str();
  app.add_flag("--stop-on-error", options.stop_on_error, "End at the first broken connection or refusal");
  app.add_flag("--json", options.json, "One JSON object instead of text");
  app.add_flag("--quiet", options.quiet, "No progress lines");
  app.footer(kExamples);
}

// "" when the options make sense together.
std::string complete(Options& options, const std::string& to) {
  const size_t colon = to.rfind(':');
  if (colon == std::string::npos || colon == 0) return "--to needs HOST:PORT";
  options.host = to.substr(0, colon);
  options.port = to.substr(colon + 1);
  if (options.host.starts_with('[') && options.host.ends_with(']'))
    options.host = options.host.substr(1, options.host.size() - 2);
  if (options.duration_s == 0 && options.requests == 0) return "--duration or --requests is needed";
  if (options.threads > options.connections) return "--threads cannot exceed --connections";
  if (options.requests > 0 && options.threads > options.requests) return "--threads cannot exceed --requests";
  if (options.journal_unacked && options.journal.empty()) return "--unacked needs --journal";
  if (options.fixed && (options.retry || options.duplicates > 0 || !options.journal.empty())) {
    return "--static has no events: --journal, --duplicates and --retry make no sense with it";
  }
  if (options.fixed) {
    if (options.scheme != Scheme::kTwilio) options.scheme = Scheme::kOwn;
    if (options.secret.empty()) options.secret = "static";
  }
  const bool twilio = options.scheme == Scheme::kTwilio;
  if (twilio && !options.journal.empty()) return "--journal holds openphone's ids; it makes no sense with twilio";
  if (options.path.empty()) options.path = twilio ? "/api/v1/webhooks/incoming-call" : "/api/v1/webhooks/openphone";
  if (options.public_url.empty()) options.public_url = (options.tls ? "https://" : "http://") + to;
  if (options.public_url.ends_with('/')) options.public_url.pop_back();
  return options.secret.empty() ? "--secret or $POSTERN_LOAD_SECRET is needed" : "";
}

}  // namespace
}  // namespace postern::load

int main(int argc, char** argv) {
  using namespace postern::load;
  Options options;
  std::string to = "127.0.0.1:8080";
  CLI::App app("Sends signed webhook events as fast as they are acknowledged, or at a given rate, and measures.",
               "postern_load");
  describe(app, options, to);
  try {
    app.parse(argc, argv);
    const std::string fault = complete(options, to);
    if (!fault.empty()) {
      fprintf(stderr, "postern_load: %s\n", fault.c_str());
      return kUsage;
    }
    return run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kUsage;
  } catch (const std::invalid_argument& error) {
    fprintf(stderr, "postern_load: %s\n", error.what());
    return kUsage;
  } catch (const std::exception& error) {
    fprintf(stderr, "postern_load: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
