// postern plugins release
#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>
#include <thread>

#include "core/base/clock.h"
#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/output.h"

namespace postern::cli {
namespace {

using nlohmann::json;

// Waits until the reload that takes the plugin back has ended. False when it has not in time, or was refused.
bool follow_release(const Options& options, uint64_t number, int& status) {
  constexpr std::chrono::milliseconds kLookEvery(20);
  constexpr int64_t kWithinMs = 60'000;
  json all;
  for (int64_t until = steady_ms() + kWithinMs; steady_ms() < until; std::this_thread::sleep_for(kLookEvery)) {
    if (!ask(options.config_file, "/admin/v1/status", all, status)) return false;
    if (all["reload"]["number"].get<uint64_t>() < number) continue;
    if (all["reload"]["error"].is_null()) return true;
    complain("the plugin's crashes are forgiven, but it could not be taken back; the next start will:\n" +
             all["reload"]["error"].get<std::string>());
    status = kNotSo;
    return false;
  }
  complain("the plugin's crashes are forgiven, but it is not back yet; `postern plugins` tells when it is");
  status = kNotSo;
  return false;
}

int release(const Options& options, const std::string& plugin) {
  json answer;
  int status = kDone;
  if (!tell(options.config_file, "/admin/v1/plugins/" + encode(plugin) + "/release", nullptr, answer, status)) return status;
  if (!follow_release(options, answer["reload"], status)) return status;
  options.json ? print_json(answer) : print(paint("released", Colour::kGreen) + "  " + printable(plugin) + " is called again");
  return kDone;
}

}  // namespace

void add_release(CLI::App& plugins, const Options& options, int& status) {
  auto plugin = std::make_shared<std::string>();
  auto* command = plugins.add_subcommand("release", "Take a plugin out of quarantine: its crashes until now do not count any more");
  command->add_option("NAME", *plugin, "As the configuration names it")->required();
  command->footer("Example:\n  postern plugins release acme");
  command->callback([&options, &status, plugin] { status = release(options, *plugin); });
}

}  // namespace postern::cli
