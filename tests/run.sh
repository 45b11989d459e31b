#!/usr/bin/env bash
# Builds Postern and runs every test, after installing what is missing for that:
#   release        the build that is shipped, with the promised times and sizes
#   asan           clang's analysis of the locks, the same tests under AddressSanitizer and UndefinedBehaviorSanitizer, and the fuzzers:
#                  30 s each, after builds that they must find out
#   tsan           the same tests under ThreadSanitizer
# Usage: tests/run.sh [--fast]
#   --fast  release only
# Stops at the first failure and names it in the last line. Exit status: 0 all passed, 1 not, 2 wrong usage.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1

say() { printf '\n== %s\n' "$*"; }

# stage NAME COMMAND…: runs it and says how long it took.
stage() {
  local name=$1 begin=$SECONDS
  shift
  say "$name: $*"
  if ! "$@"; then
    say "FAILED: $name, after $((SECONDS - begin)) s"
    exit 1
  fi
  say "$name: passed in $((SECONDS - begin)) s"
}

build() {
  stage "$1: configure" cmake --preset "$1" "${@:2}"
  stage "$1: build" cmake --build --preset "$1" --parallel "$jobs"
}

# A broken build of tests must not pass as "no tests": the presets make that an error.
build_and_test() {
  build "$1" -DPOSTERN_TESTS=ON
  stage "$1: tests" ctest --preset "$1"
}

case "${1:-}" in
  "") presets=(release asan tsan) ;;
  --fast) presets=(release) ;;
  *)
    sed -n '7,8s/^# \{0,1\}//p' "tests/run.sh" >&2
    exit 2
    ;;
esac

export NINJA_STATUS='[%f of %t, %es] '
stage "dependencies" ./packaging/install-dependencies.sh test
for preset in "${presets[@]}"; do
  build_and_test "$preset"
  [[ $preset != asan ]] || stage "asan: fuzz" tests/fuzz/run.sh --control --seconds 30 --jobs "$jobs"
done
say "PASSED: ${presets[*]}, in $((SECONDS / 60)) min $((SECONDS % 60)) s"
