// Builds that are broken on purpose: each breaks one promise, and the fault test of that promise has to notice (tests/fault/README.md), or
// the fuzzer (tests/fuzz/README.md). A test that passes both builds proves nothing.
//
// POSTERN_BREAK is defined for the executables postern_broken_KIND and fuzz_broken_… alone, which only a build with tests has and nothing
// installs. What is broken carries kMark, and a test looks for it in the real `postern`. Thread-safety: constants.
#pragma once

#include <string_view>

namespace postern::broken {

#ifdef POSTERN_BREAK
constexpr std::string_view kKind = POSTERN_BREAK;
[[gnu::used]] static const char kMark[] = "broken-on-purpose: " POSTERN_BREAK;
#else
constexpr std::string_view kKind;
#endif

constexpr bool kSyncOff = kKind == "sync_off";              // nothing is fsynced
constexpr bool kFsyncIgnored = kKind == "fsync_ignored";    // an fsync that failed counts as done
constexpr bool kEarlyAck = kKind == "early_ack";            // senders are told before the commit
constexpr bool kLoseEffects = kKind == "lose_effects";      // effects are committed after the outcome, not with it
constexpr bool kWaitForLocks = kKind == "wait_for_locks";   // as long as another program holds the database
constexpr bool kForgetOutcomes = kKind == "forget_outcomes";  // what a handler has done the first time counts as failed
constexpr bool kForgetCrashes = kKind == "forget_crashes";  // nobody counts what ended the life before
constexpr bool kKeepHungThreads = kKind == "keep_hung_threads";  // nobody takes the place of a thread that a handler keeps
constexpr bool kDropOnReload = kKind == "drop_on_reload";  // a reload closes the connections
constexpr bool kDecodeTwice = kKind == "decode_twice";     // a path segment may hold what a second decoding makes something else
constexpr bool kBareLfInChunks = kKind == "bare_lf_in_chunks";  // the line of a chunk's size may end in LF alone
constexpr bool kTrustLength = kKind == "trust_length";  // Content-Length counts where there is a Transfer-Encoding as well
constexpr bool kSkipChunks = kKind == "skip_chunks";    // a chunked body is taken for no body
constexpr bool kBareLf = kKind == "bare_lf";            // a line may end in LF alone
constexpr bool kSpinWithoutFiles = kKind == "spin_without_files";  // nobody looks away when a connection cannot be accepted
constexpr bool kDeadlinesMove = kKind == "deadlines_move";  // each byte that comes moves the deadline

static_assert(kKind.empty() || kSyncOff || kFsyncIgnored || kEarlyAck || kLoseEffects || kWaitForLocks || kKeepHungThreads ||
                  kDropOnReload || kForgetOutcomes || kForgetCrashes || kDecodeTwice || kBareLfInChunks || kTrustLength || kSkipChunks ||
                  kBareLf || kSpinWithoutFiles || kDeadlinesMove,
              "POSTERN_BREAK names no kind of this list");

}  // namespace postern::broken
