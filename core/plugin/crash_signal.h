// What a signal that ends the gateway adds to the record: which it was, where, in which thread's slot, and how it came there. Then it goes
// on to whoever would have had it without us, so that the exit status, a core file and a sanitizer's report stay what they are.
//
// In the handler: no lock, no memory, no stream; it stores into the mapping. What may fail in it (to walk a broken stack) comes last.
// Thread-safety: catch_crashes() once, on the control thread, while a record is open; the handler on any thread.
#pragma once

namespace postern::plugin {

// SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT.
void catch_crashes();

}  // namespace postern::plugin
