// postern serve, postern check
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <csignal>
#include <filesystem>
#include <memory>
#include <utility>

#include "core/base/clock.h"
#include "core/base/core_dumps.h"
#include "core/base/log.h"
#include "core/cli/command.h"
#include "core/cli/output.h"
#include "core/cli/quiet_stdout.h"
#include "core/cli/rehearsal.h"
#include "core/gateway/gateway.h"
#include "core/plugin/crash_record.h"
#include "core/plugin/crash_signal.h"

namespace postern::cli {
namespace {

// Before any thread starts, so that all inherit it: these signals are waited for, not handled.
void block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // NOLINT: a closed log pipe must not end the gateway
  ::signal(SIGXFSZ, SIG_IGN);  // NOLINT: a limit of file sizes shows as a failed write
}

void allow_dumps_if_configured(const config::Loaded& loaded) {
  if (loaded.config.core_dumps) allow_core_dumps();
}

// From before the first plugin is loaded: what ends the gateway in one is to be known at the next start.
std::unique_ptr<plugin::CrashRecord> note_crashes(const config::Config& config) {
  std::filesystem::path path = config.store_path + ".running";
  std::error_code told_later;  // by the store
  std::filesystem::create_directories(path.parent_path(), told_later);
  auto record = plugin::CrashRecord::open(path);
  if (record) {
    plugin::catch_crashes();
    return std::move(*record);
  }
  if (record.status().code() != Code::kUnavailable) log::error("crashes of plugins are not noted", {{"error", record.status().message()}});
  return nullptr;
}

int run_gateway(const Options& options) {
  std::unique_ptr<plugin::CrashRecord> record;  // outlives the plugins
  auto ready = assemble_or_tell(options.config_file, [&record](const config::Loaded& loaded) {
    allow_dumps_if_configured(loaded);
    if (loaded.faults.empty()) record = note_crashes(loaded.config);
  });
  if (!ready) return kNotSo;
  log::set_level(log::to_level(ready->config.log_level));
  auto gateway = gateway::Gateway::make(std::move(ready->config), std::move(ready->assembly), rehearse);
  if (!gateway) {
    log::error("cannot start", {{"error", gateway.status().message()}});
    return gateway::kExitCannotStart;  // not kNotSo: a supervisor tries again, which a faulty configuration is not worth
  }
  return (*gateway)->run();
}

int serve(const Options& options) {
  forbid_core_dumps();
  block_signals();
  QuietStdout quiet;  // what plugins print while they work is for the log's readers
  bool terminal = ::isatty(STDERR_FILENO) == 1;
  log::start_in_background(terminal ? log::Style::kTerminal : log::Style::kJson, log::Level::kInfo);
  int status = run_gateway(options);
  if (!log::finish()) log::leave(status);  // whoever reads the log has stopped to
  return status;
}

nlohmann::json describe_certificates(const std::vector<gateway::ShownCertificate>& certificates) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& one : certificates) {
    nlohmann::json names = nlohmann::json::array();
    for (const std::string& name : one.names) names.push_back(printable(name));
    list.push_back({{"file", one.file}, {"subject", printable(one.subject)}, {"names", names}, {"expires_at", one.not_after * 1000}});
  }
  return list;
}

void print_certificate(const gateway::ShownCertificate& certificate) {
  constexpr int64_t kMsPerSecond = 1000;
  std::string names;
  for (const std::string& name : certificate.names) names += (names.empty() ? "" : ", ") + printable(name);
  const std::string warning = gateway::warning_of(certificate, wall_ms() / kMsPerSecond);
  print("    certificate " + certificate.file + ": " + printable(certificate.subject) + (names.empty() ? "" : ", for " + names));
  if (!warning.empty()) print("    " + paint("it " + warning, Colour::kYellow));
}

int check(const Options& options, bool verbose) {
  forbid_core_dumps();
  if (verbose) log::start(::isatty(STDERR_FILENO) == 1 ? log::Style::kTerminal : log::Style::kJson, log::Level::kDebug);
  auto ready = assemble_or_tell(options.config_file, allow_dumps_if_configured);
  if (!ready) return kNotSo;
  const config::Config& config = ready->config;
  size_t routes = ready->assembly->routes().routes().size();
  const auto& certificates = ready->assembly->entrances().certificates();
  if (options.json) {
    print_json({{"config", options.config_file}, {"plugins", config.plugins.size()}, {"routes", routes},
                {"subscriptions", config.subscriptions.size()}, {"store", config.store_path},
                {"certificates", describe_certificates(certificates)}});
    return kDone;
  }
  print(paint("ok", Colour::kGreen) + "  " + options.config_file + ": " + std::to_string(config.plugins.size()) + " plugins, " +
        std::to_string(routes) + " routes, " + std::to_string(config.subscriptions.size()) + " subscriptions, store " + config.store_path);
  for (const gateway::ShownCertificate& certificate : certificates) print_certificate(certificate);
  return kDone;
}

}  // namespace

void add_serve(CLI::App& app, const Options& options, int& status) {
  auto* command = app.add_subcommand("serve", "Run the gateway until SIGTERM or Ctrl-C; SIGHUP reloads");
  command->footer("Example:\n  postern serve -c /etc/postern/gateway.yaml");
  command->callback([&] { status = serve(options); });
}

void add_check(CLI::App& app, const Options& options, int& status) {
  auto* command = app.add_subcommand("check", "Check the configuration and its plugins; every fault at once");
  command->footer("Prints each fault as file:line:column: message and exits 1, or a summary and 0.\n\nExample:\n"
                  "  postern check -c gateway.yaml");
  auto verbose = std::make_shared<bool>(false);
  command->add_flag("--verbose", *verbose, "Tell each step, also what plugins log");
  command->callback([&options, &status, verbose] { status = check(options, *verbose); });
}

}  // namespace postern::cli
