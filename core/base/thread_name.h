// What a thread is called in `top -H`, in debuggers and in core dumps. Thread-safety: names the calling thread.
#pragma once

#include <pthread.h>

namespace postern {

// At most 15 bytes, or the system refuses it.
inline void name_thread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

}  // namespace postern
