// What the commands share: options, exit statuses, loading the configuration. One file for each command.
// Thread-safety: main's thread.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/config/config.h"
#include "core/gateway/assembly.h"

namespace postern::cli {

enum Exit { kDone = 0, kNotSo = 1, kUsage = 2, kNoGateway = 3 };

struct Options {
  std::string config_file;
  bool json = false;
};

// Each adds its subcommand; the exit status is left in `status` when it ran.
void add_serve(CLI::App& app, const Options& options, int& status);
void add_check(CLI::App& app, const Options& options, int& status);
void add_inventory(CLI::App& app, const Options& options, int& status);  // plugins, routes
void add_release(CLI::App& plugins, const Options& options, int& status);  // plugins release
void add_send(CLI::App& app, const Options& options, int& status);
void add_verify(CLI::App& app, const Options& options, int& status);
void add_events(CLI::App& app, const Options& options, int& status);
void add_dead(CLI::App& app, const Options& options, int& status);
void add_jobs(CLI::App& app, const Options& options, int& status);
void add_reload(CLI::App& app, const Options& options, int& status);
void add_status(CLI::App& app, const Options& options, int& status);
void add_completion(CLI::App& app);

// The configuration, or its faults on stderr as file:line:column: message, and nothing.
std::optional<config::Config> load_or_tell(const std::string& file);

struct Ready {
  Ready(config::Config config, std::unique_ptr<gateway::Assembly> assembly) : config(std::move(config)), assembly(std::move(assembly)) {}
  Ready(Ready&&) = default;
  ~Ready();  // what plugins print at their end does not get into the command's output
  config::Config config;
  std::unique_ptr<gateway::Assembly> assembly;
};
// The configuration with its plugins loaded and initialised (nothing runs), or all faults on stderr, and nothing. Before the first plugin
// is loaded, the secrets are taken out of the environment, and `before_plugins` is called.
std::optional<Ready> assemble_or_tell(const std::string& file, const std::function<void(const config::Loaded&)>& before_plugins = {});

}  // namespace postern::cli
