#include "core/cli/run.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "core/base/version.h"
#include "core/cli/command.h"

namespace postern::cli {

int run(int argc, char** argv) {
  CLI::App app("Postern: every webhook is verified, made durable before it is acknowledged, and handled once.", "postern");
  app.set_version_flag("--version", std::string("postern ") + postern::version());
  app.require_subcommand(1);
  app.fallthrough();  // -c and --json may stand behind the subcommand too
  app.footer("Examples:\n  postern check -c gateway.yaml\n  postern serve -c gateway.yaml\n  postern events list\n\n"
             "Exit status: 0 done, 1 the thing asked for is not so, 2 wrong usage, 3 no gateway answers.");

  Options options;
  const char* from_environment = std::getenv("POSTERN_CONFIG");
  options.config_file = from_environment != nullptr ? from_environment : "/etc/postern/gateway.yaml";
  app.add_option("-c,--config", options.config_file, "The configuration; default $POSTERN_CONFIG, else /etc/postern/gateway.yaml");
  app.add_flag("--json", options.json, "For programs: print JSON");

  int status = kDone;
  add_serve(app, options, status);
  add_check(app, options, status);
  add_inventory(app, options, status);
  add_send(app, options, status);
  add_verify(app, options, status);
  add_events(app, options, status);
  add_dead(app, options, status);
  add_jobs(app, options, status);
  add_reload(app, options, status);
  add_status(app, options, status);
  add_completion(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    bool unknown =
        argc > 1 && argv[1][0] != '-' && app.get_subcommands([&](const CLI::App* c) { return c->get_name() == argv[1]; }).empty();
    if (unknown) std::cerr << "postern: there is no command '" << argv[1] << "'\n";
    int code = app.exit(e);  // prints help, version or what is wrong
    return code == 0 ? kDone : kUsage;
  } catch (const std::exception& e) {
    std::cerr << "postern: " << e.what() << '\n';
    return kNotSo;
  }
  std::cout.flush();
  bool told = std::cout.good();
  ::dup2(STDERR_FILENO, STDOUT_FILENO);  // plugins' own static destructors may print too
  return told ? status : kNotSo;
}

}  // namespace postern::cli
