// postern_voice_load: many phone calls at once, both ends of them: the callers, as Twilio's media streams bring them to the gateway, and the
// model that the gateway connects them with. Says how much later a frame comes out of the gateway than it went in. See tests/bench/README.md.
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/bench/voice/callers.h"
#include "tests/bench/voice/models.h"
#include "tests/bench/voice/process.h"

namespace postern::voice_load {
namespace {

using nlohmann::ordered_json;

constexpr int kUsage = 2;
constexpr double kConnectS = 10;   // after the last call has begun: until all talk
constexpr double kStragglersS = 1;  // after the last frame: what has not come by then is lost
constexpr double kHangUpS = 0.5;

constexpr const char* kExample = R"(
Example:
  postern_voice_load --gateway 127.0.0.1:8080 --model-port 9090 --sign-url wss://hooks.example.com/api/v1/voice/media-stream \
    --calls 500 --seconds 20 --pid $(pidof postern)
The auth token is $POSTERN_LOAD_SECRET. Prints one JSON object.
Exit: 0 measured (losses are figures, not errors), 1 not all calls came to talk, or some ended early, 2 wrong usage.)";

void describe(CLI::App& app, Options& options, std::string& gateway) {
  app.add_option("--gateway", gateway, "Where the calls go: HOST:PORT")->required();
  app.add_option("--model-port", options.model_port, "Where the model listens, on loopback")->required();
  app.add_option("--path", options.path, "Target of the media streams")->capture_default_str();
  app.add_option("--auth-token", options.auth_token, "Twilio's, which signs; without it nothing is signed")->envname("POSTERN_LOAD_SECRET");
  app.add_option("--sign-url", options.sign_url, "The URL that Twilio would sign");
  app.add_option("--calls", options.calls, "Calls at once")->capture_default_str()->check(CLI::Range(1, 20000));
  app.add_option("--seconds", options.seconds, "How long is measured, once all calls talk")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--warm-up", options.warm_up_s, "Seconds before that")->capture_default_str()->check(CLI::NonNegativeNumber);
  app.add_option("--ramp", options.ramp, "Calls that begin in a second")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--barge-in", options.barge_in_s, "Seconds between two barge-ins, over all calls; 0: none")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--drop", options.drop_s, "Seconds between two connections that are cut off, on either side; a new call begins for each")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--threads", options.threads, "2: the callers on one, the model on the other")->capture_default_str()->check(CLI::Range(1, 2));
  app.add_option("--pid", options.pids, "The gateway's process, whose CPU time and memory are told; may be given several times");
  app.footer(kExample);
}

// "" when the options make sense together.
std::string complete(Options& options, const std::string& gateway) {
  const size_t colon = gateway.rfind(':');
  const int port = colon == gateway.npos ? 0 : std::atoi(gateway.c_str() + colon + 1);
  if (port < 1 || port > 65535) return "--gateway needs HOST:PORT";
  options.gateway = gateway.substr(0, colon);
  options.gateway_port = static_cast<uint16_t>(port);
  if (!options.auth_token.empty() && options.sign_url.empty()) return "--sign-url is needed where there is an auth token";
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 2 * rlim_t{options.calls} + 16) return "so many calls need more open files: see ulimit -n";
  return "";
}

void sleep_s(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// What was taken while it was measured.
struct Taken {
  double own_cpu_s = 0, gateway_cpu_s = 0, wall_s = 0;
  uint64_t rss_before_kib = 0, rss_after_kib = 0;
  uint32_t talking = 0;
};

uint32_t talking(const Shared& shared) { return std::min<uint32_t>(shared.heard, shared.hearing); }

Taken measure(const Options& options, Shared& shared) {
  Taken taken;
  taken.rss_before_kib = rss_kib(options.pids);
  const int64_t give_up_ns = steady_ns() + static_cast<int64_t>((options.calls / options.ramp + kConnectS) * 1e9);
  while (talking(shared) < options.calls && shared.broken == 0 && steady_ns() < give_up_ns) sleep_s(0.02);
  taken.talking = talking(shared);
  sleep_s(options.warm_up_s);
  const int64_t begin_ns = steady_ns();
  shared.end_ns = begin_ns + static_cast<int64_t>(options.seconds * 1e9);
  shared.begin_ns = begin_ns;
  shared.measuring = true;
  const double own = own_cpu_seconds(), gateway = cpu_seconds(options.pids);
  sleep_s(options.seconds);
  taken.own_cpu_s = own_cpu_seconds() - own;
  taken.gateway_cpu_s = cpu_seconds(options.pids) - gateway;
  taken.wall_s = static_cast<double>(steady_ns() - begin_ns) / 1e9;
  taken.rss_after_kib = rss_kib(options.pids);
  shared.measuring = false;
  shared.sending = false;
  sleep_s(kStragglersS);
  shared.hanging_up = true;
  sleep_s(kHangUpS);
  shared.stop = true;
  return taken;
}

ordered_json latency(const load::Histogram& histogram) {
  return {{"p50_us", histogram.percentile(0.5)}, {"p99_us", histogram.percentile(0.99)}, {"max_us", histogram.max()}};
}

ordered_json direction(const Figures& from, const Figures& to) {
  ordered_json json = latency(to.latency);
  json["sent"] = from.sent;
  json["received"] = to.received;
  json["cleared"] = to.cleared;
  json["lost"] = static_cast<int64_t>(from.sent) - static_cast<int64_t>(to.received) - static_cast<int64_t>(to.cleared);
  return json;
}

std::string report(const Options& options, const Shared& shared, const Taken& taken, const Figures& callers, const Figures& models,
                   const load::Histogram& lateness) {
  ordered_json json;
  json["calls"] = options.calls;
  json["talking"] = taken.talking;
  json["broken"] = shared.broken.load();
  json["begun"] = shared.begun.load();
  json["dropped"] = shared.dropped.load();
  json["seconds"] = taken.wall_s;
  json["to_model"] = direction(callers, models);
  json["to_caller"] = direction(models, callers);
  json["barge_in"] = latency(callers.barge_in);
  json["barge_in"]["begun"] = models.barge_ins;
  json["barge_in"]["cleared"] = callers.barge_in.total();
  json["generator"] = {{"cpu_s", taken.own_cpu_s}, {"late_p50_us", lateness.percentile(0.5)}, {"late_p99_us", lateness.percentile(0.99)}};
  if (!options.pids.empty()) {
    const double grown = static_cast<double>(taken.rss_after_kib) - static_cast<double>(taken.rss_before_kib);
    json["gateway"] = {{"cpu_s", taken.gateway_cpu_s},
                       {"rss_before_kib", taken.rss_before_kib},
                       {"rss_after_kib", taken.rss_after_kib},
                       {"kib_per_call", grown / options.calls}};
  }
  json["fault"] = callers.fault.empty() ? models.fault : callers.fault;
  json["frames_changed"] = callers.unlike || models.unlike;
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

int run(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  Shared shared(options);
  Loop first, second;
  Loop& other = options.threads == 2 ? second : first;
  first.measure(shared.measuring);
  second.measure(shared.measuring);
  Models models(other, shared);
  Callers callers(first, shared);
  std::thread callers_thread([&] { first.run(shared.stop); });
  std::thread models_thread;
  if (options.threads == 2) models_thread = std::thread([&] { second.run(shared.stop); });
  const Taken taken = measure(options, shared);
  callers_thread.join();
  if (models_thread.joinable()) models_thread.join();
  load::Histogram lateness = first.lateness();
  lateness.merge(second.lateness());
  fputs(report(options, shared, taken, callers.figures(), models.figures(), lateness).c_str(), stdout);
  const bool whole = taken.talking == options.calls && shared.broken == 0 && !callers.figures().unlike && !models.figures().unlike;
  return whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace postern::voice_load

int main(int argc, char** argv) {
  using namespace postern::voice_load;
  Options options;
  std::string gateway;
  CLI::App app("Many phone calls at once, both ends of them.", "postern_voice_load");
  describe(app, options, gateway);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kUsage;
  }
  if (const std::string fault = complete(options, gateway); !fault.empty()) {
    fprintf(stderr, "postern_voice_load: %s\n", fault.c_str());
    return kUsage;
  }
  try {
    return run(options);
  } catch (const std::exception& error) {
    fprintf(stderr, "postern_voice_load: %s\n", error.what());
    return kUsage;
  }
}
