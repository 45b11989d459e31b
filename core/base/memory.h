// What a process has taken of memory and no longer needs. Thread-safety: any thread.
#pragma once

namespace postern {

// Gives back to the system what is free, now and not in some seconds: after a load of the configuration much is, and little will be taken
// again. Takes milliseconds; never on a loop.
void give_back_memory();

}  // namespace postern
