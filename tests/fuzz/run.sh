#!/usr/bin/env bash
# Runs the fuzzers. Usage: tests/fuzz/run.sh [OPTION…] [NAME…]
#   --seconds N   for each, by the clock (default 30), from the same seed each time: a change is not judged by luck
#   --minutes N   for each, of CPU time, from a new seed
#   --jobs J      at a time (default 2)
#   --keep        what reached something new goes into tests/fuzz/corpus, made small again; else it is thrown away
#   --control     first, builds that are broken on purpose: each must be found out, from an empty corpus
#   --coverage    at the end, which share of each source file's edges the kept inputs reach
#   --build DIR   of the preset `asan` (default build/asan)
# Without a NAME, all of them. A finding is kept as tests/fuzz/findings/NAME/HASH; rename it to what it was, once that is mended.
# Exit status: 0 nothing was found, 1 something was, or a control was not, 2 wrong usage or nothing built.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -- "$here/../.." && pwd)
build=$root/build/asan
seconds=30 minutes='' jobs=2 keep='' control='' coverage='' names=()
all=(request_reader chunked_reader proxy_header router target form forwarded scheme identify config twilio websocket voice)
declare -A controls=([broken_paths]=router [broken_chunks]=chunked_reader)
declare -A longest=([config]=16384 [twilio]=2048 [request_reader]=2048 [websocket]=2048 [voice]=4096)  # bytes of an input; else 1024

usage() {
  sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}
while [[ $# -gt 0 ]]; do
  case $1 in
    --seconds | --minutes | --jobs | --build)
      [[ $# -ge 2 ]] || usage
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --keep | --control | --coverage) printf -v "${1#--}" yes ;;
    -*) usage ;;
    *) names+=("$1") ;;
  esac
  shift
done
[[ $seconds =~ ^[0-9]+$ && $minutes =~ ^[0-9]*$ && $jobs =~ ^[1-9][0-9]*$ ]] || usage
[[ ${#names[@]} -gt 0 ]] || names=("${all[@]}")
for name in "${names[@]}"; do
  if [[ ! -x $build/tests/fuzz/fuzz_$name ]]; then
    echo "$0: no fuzz_$name in $build/tests/fuzz: cmake --preset asan && cmake --build --preset asan" >&2
    exit 2
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export UBSAN_OPTIONS=print_stacktrace=1

# The CPU seconds of a process and its children, from its /proc/PID/stat.
cpu_of() {
  awk -v tick="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13 + $14 + $15) / tick) }' "/proc/$1/stat" 2>/dev/null || echo 0
}

# fuzz PROGRAM NAME ARGUMENT…: becomes the fuzzer, with the limits and the words of NAME; its output to $work/PROGRAM.log.
fuzz() {
  local program=$1 name=$2
  shift 2
  exec "$build/tests/fuzz/fuzz_$program" -max_len="${longest[$name]:-1024}" -timeout=10 -rss_limit_mb=2048 -dict="$here/$name.dict" \
    -print_final_stats=1 -verbosity=1 "$@" >"$work/$program.log" 2>&1
}

# One fuzzer over its corpus; the outcome in $work/NAME.result.
run_one() {
  local name=$1 status=0 pid limit
  mkdir -p "$work/new/$name" "$here/corpus/$name" "$here/findings/$name"
  local folders=("$work/new/$name" "$here/corpus/$name" "$here/findings/$name")
  if [[ -n $minutes ]]; then
    limit=$((minutes * 60))
    # Stopped by CPU time; libFuzzer ends by itself on SIGTERM, with its figures.
    (fuzz "$name" "$name" -artifact_prefix="$here/findings/$name/" "${folders[@]}") &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
      sleep 2
      [[ $(cpu_of "$pid") -lt $limit ]] || kill -TERM "$pid" 2>/dev/null || true
    done
    wait "$pid" || status=$?
  else
    (fuzz "$name" "$name" -seed=1 -max_total_time="$seconds" -artifact_prefix="$here/findings/$name/" "${folders[@]}") || status=$?
  fi
  echo "$status" >"$work/$name.result"
}

stat_of() { sed -n "s/^stat::$2: *//p" "$work/$1.log" | tail -n 1; }

report() {
  local name=$1 status cov
  status=$(<"$work/$name.result")
  cov=$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$work/$name.log" | tail -n 1)
  printf '%-15s %10s runs %7s/s  %s  new units %s\n' "$name" "$(stat_of "$name" number_of_executed_units)" \
    "$(stat_of "$name" average_exec_per_sec)" "${cov:-cov: ? ft: ?}" "$(stat_of "$name" new_units_added)"
  # libFuzzer's own for an end by a signal, which --minutes asks for.
  [[ $status -ne 0 ]] || return 0
  if [[ -n $minutes ]] && grep -q 'run interrupted' "$work/$name.log"; then return 0; fi
  grep -vE '^(INFO|#|Dictionary|stat::)' "$work/$name.log" | head -n 40
  local unit
  unit=$(sed -n 's/.*Test unit written to //p' "$work/$name.log" | tail -n 1)
  echo "FOUND by $name; again: $build/tests/fuzz/fuzz_$name ${unit:-(see above)}"
  return 1
}

# The kept files and the new ones, as few of them as reach the same.
minimise() {
  local name=$1
  mkdir -p "$work/merged/$name"
  (fuzz "$name" "$name" -set_cover_merge=1 "$work/merged/$name" "$here/corpus/$name" "$work/new/$name") || return 1
  # Seeds that a person wrote stay, under their names.
  local file
  find "$here/corpus/$name" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  for file in "$work/merged/$name"/*; do
    [[ -f $file ]] || continue
    cp -- "$file" "$here/corpus/$name/$(sha1sum <"$file" | cut -d' ' -f1)"
  done
  # What a seed says already needs no second file.
  local seed
  while IFS= read -r seed; do
    rm -f "$here/corpus/$name/$(sha1sum <"$seed" | cut -d' ' -f1)"
  done < <(find "$here/corpus/$name" -type f -regextype posix-extended ! -regex '.*/[0-9a-f]{40}')
}

# A build that is broken on purpose must end with a finding, and not by another of our limits.
run_controls() {
  local program found=0
  for program in "${!controls[@]}"; do
    mkdir -p "$work/control/$program"
    if (fuzz "$program" "${controls[$program]}" -max_total_time=30 -artifact_prefix="$work/control/" "$work/control/$program") ||
      ! grep -q 'does not hold' "$work/$program.log"; then
      echo "CONTROL: $program is broken on purpose, and ${controls[$program]} did not find out in 30 s"
      found=1
    else
      echo "control $program: found after $(stat_of "$program" number_of_executed_units || true) runs"
    fi
  done
  return $found
}

# From the counters that the fuzzers have anyway: edges, for each file of ours. Of each function what the fuzzer that knows it best reaches.
cover() {
  local name
  echo "Edges that the kept inputs reach:"
  export ASAN_SYMBOLIZER_PATH=${ASAN_SYMBOLIZER_PATH:-$(command -v llvm-symbolizer-19)}
  for name in "${names[@]}"; do
    mkdir -p "$here/findings/$name"
    (fuzz "$name" "$name" -runs=0 -print_coverage=1 "$here/corpus/$name" "$here/findings/$name") || return 1
    sed -nE 's#^(UN)?COVERED_FUNC: .*edges: ([0-9]+)/([0-9]+) .* [^ ]*/((core|plugins)/[^: ]+):([0-9]+).*#\2 \3 \4 \6#p' "$work/$name.log"
  done | awk '
    { key = $3 " " $4; file[key] = $3; if ($1 > hit[key]) hit[key] = $1; if ($2 > all[key]) all[key] = $2 }
    END {
      for (key in file) { hits[file[key]] += hit[key]; edges[file[key]] += all[key] }
      for (f in hits) printf "%5.1f %% %6d of %6d  %s\n", 100 * hits[f] / edges[f], hits[f], edges[f], f
    }' | sort -k6
}

failed=0
if [[ -n $control ]]; then run_controls || failed=1; fi
for name in "${names[@]}"; do
  while [[ $(jobs -rp | wc -l) -ge $jobs ]]; do wait -n || true; done
  run_one "$name" &
done
wait
for name in "${names[@]}"; do report "$name" || failed=1; done
if [[ -n $keep ]]; then
  for name in "${names[@]}"; do minimise "$name" || failed=1; done
fi
if [[ -n $coverage ]]; then cover || failed=1; fi
exit $failed
