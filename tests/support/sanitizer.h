// POSTERN_ASAN and POSTERN_TSAN: 1 in a build with AddressSanitizer, with ThreadSanitizer, by any compiler; else 0.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define POSTERN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTERN_ASAN 1
#endif
#endif
#ifndef POSTERN_ASAN
#define POSTERN_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define POSTERN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define POSTERN_TSAN 1
#endif
#endif
#ifndef POSTERN_TSAN
#define POSTERN_TSAN 0
#endif
