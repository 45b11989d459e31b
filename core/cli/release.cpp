// postern plugins release
#include <nlohmann/json.hpp>

#include <memory>

#include "core/cli/admin_client.h"
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/cli/reload.h"

namespace postern::cli {
namespace {

using nlohmann::json;

int release(const Options& options, const std::string& plugin) {
  constexpr int64_t kWithinS = 60;
  json answer;
  int status = kDone;
  if (!tell(options.config_file, "/admin/v1/plugins/" + encode(plugin) + "/release", nullptr, answer, status)) return status;
  auto ended = wait_for_reload(options, answer["reload"], kWithinS, status);
  if (!ended) {
    if (status == kNotSo) complain("the plugin's crashes are forgiven, but it is not back yet; `postern plugins` tells when it is");
    return status;
  }
  if ((*ended)["error"].is_string()) {
    complain("the plugin's crashes are forgiven, but it could not be taken back; the next start will:\n" +
             (*ended)["error"].get<std::string>());
    return kNotSo;
  }
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
