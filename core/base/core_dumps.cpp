#include "core/base/core_dumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace postern {
namespace {

rlimit limit_before{RLIM_INFINITY, RLIM_INFINITY};
int dumpable_before = 1;

}  // namespace

void forbid_core_dumps() {
  ::getrlimit(RLIMIT_CORE, &limit_before);
  dumpable_before = ::prctl(PR_GET_DUMPABLE);
  // The hard limit stays, so that a configuration can still allow them.
  rlimit none{0, limit_before.rlim_max};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
}

void allow_core_dumps() {
  ::setrlimit(RLIMIT_CORE, &limit_before);
  if (dumpable_before == 1) ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace postern
