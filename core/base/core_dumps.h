// Core dumps hold every secret that the process has in its memory, so a gateway leaves none unless it is told to.
//
// The limit alone is not enough: where dumps are piped to a program (systemd-coredump, apport) the kernel asks for no limit, and a limit
// can be raised again from outside. A process that is not dumpable is also closed to debuggers of its own user, and its /proc/PID/environ
// and /proc/PID/mem to everybody but root. Its own /proc/self/fd stays open to it, whoever it runs as: plugins may be loaded from there.
// Thread-safety: one thread, before others start.
#pragma once

namespace postern {

void forbid_core_dumps();
// What was so before forbid_core_dumps().
void allow_core_dumps();

}  // namespace postern
