// The `postern` command.
#include <fcntl.h>
#include <unistd.h>

#include <iostream>

#include "core/base/broken.h"
#include "core/cli/run.h"

int main(int argc, char** argv) {
  namespace broken = postern::broken;
  // A caller that closed 0, 1 or 2 must not make a store's file our stderr.
  int null = ::open("/dev/null", O_RDWR);
  while (null >= 0 && null <= STDERR_FILENO) null = ::open("/dev/null", O_RDWR);
  if (null >= 0) ::close(null);

  if constexpr (!broken::kKind.empty())
    std::cerr << "postern: a build that is broken on purpose, for tests alone: " << broken::kKind << '\n';

  return postern::cli::run(argc, argv);
}
