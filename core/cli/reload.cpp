// postern reload
#include "core/cli/reload.h"

#include <chrono>
#include <memory>
#include <thread>

#include "core/base/clock.h"
#include "core/cli/admin_client.h"
#include "core/cli/output.h"

namespace postern::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kAskEvery(20);

int reload(const Options& options, int64_t within_s) {
  json asked;
  int status = kDone;
  if (!tell(options.config_file, "/admin/v1/reload", nullptr, asked, status)) return status;
  auto ended = wait_for_reload(options, asked["reload"], within_s, status);
  if (!ended) {
    if (status == kNotSo) complain("the reload has not ended yet; `postern status` tells when it has");
    return status;
  }
  const json& answer = *ended;
  bool refused = answer["error"].is_string();
  if (options.json) {
    print_json(answer);
  } else if (refused) {
    complain("not reloaded; the configuration from before goes on:\n" + answer["error"].get<std::string>());
  } else {
    print(paint("reloaded", Colour::kGreen) + "  generation " + answer["generation"].dump());
    for (const json& setting : answer["needs_restart"]) {
      print("  " + paint(setting.get<std::string>() + " has changed: it is used from the next start on", Colour::kYellow));
    }
  }
  return refused ? kNotSo : kDone;
}

}  // namespace

std::optional<json> wait_for_reload(const Options& options, uint64_t number, int64_t within_s, int& status) {
  constexpr int64_t kMsPerSecond = 1000;
  int64_t until = steady_ms() + within_s * kMsPerSecond;
  do {
    json all;
    if (!ask(options.config_file, "/admin/v1/status", all, status)) return std::nullopt;
    if (all["reload"]["number"].get<uint64_t>() >= number) return std::move(all["reload"]);
    std::this_thread::sleep_for(kAskEvery);
  } while (steady_ms() < until);
  status = kNotSo;
  return std::nullopt;
}

void add_reload(CLI::App& app, const Options& options, int& status) {
  auto within = std::make_shared<int64_t>(60);
  auto* command = app.add_subcommand("reload", "Let the running gateway load its configuration and changed plugins; all or nothing");
  command->add_option("--timeout", *within, "Seconds to wait for its end")->check(CLI::Range(1, 3600))->capture_default_str();
  command->footer("Exits 1 where the configuration was refused, with the reason; the one before goes on then. SIGHUP does the same.\n\n"
                  "Example:\n  postern reload -c gateway.yaml");
  command->callback([&options, &status, within] { status = reload(options, *within); });
}

}  // namespace postern::cli
