#!/usr/bin/env bash
# A phone call through the gateway, without a phone: a caller as Twilio brings one is greeted by a voice model, interrupts it, presses a
# key, has it book an appointment by a tool, and is said goodbye to. Leaves what the caller hears, a picture of the call and the event
# that remains of it. Every step is checked. Nothing goes to the internet: Twilio, OpenAI and the calendar are stand-ins.
#
# Usage: tests/voice/demo.sh [--out DIR] [--build DIR]
#   --out DIR    where everything is written to, instead of var/voice-demo
#   --build DIR  where the gateway was built, instead of build/release
# Exit status: 0 all was as it should be, 1 something was not, 2 wrong usage.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
standins=$root/tests/support/voice
build=$root/build/release
out=$root/var/voice-demo
python=/usr/bin/python3  # Debian's, which has python3-websockets
place=                   # the gateway's store and socket: gone afterwards
declare -A pids=()       # what this script started and still runs
call_id=0000000000000000d0d0cafe
wrong=0

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() {
  printf '\n%s%s%s\n' "$red" "demo: $*" "$plain" >&2
  exit 1
}
help() { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
usage() {
  help >&2
  exit 2
}

read_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      -h | --help)
        help
        exit 0
        ;;
      --out | --build)
        [[ -n ${2:-} ]] || usage
        if [[ $1 == --out ]]; then out=$2; else build=$2; fi
        shift
        ;;
      *) usage ;;
    esac
    shift
  done
}

# Ends one program that this script started, and gives its status.
stop() {
  local status=0 pid=${pids[$1]:-}
  [[ -n $pid ]] || return 0
  unset "pids[$1]"
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || status=$?
  return "$status"
}
clean_up() {
  local name
  for name in "${!pids[@]}"; do stop "$name" || true; done
  if [[ -n $place ]]; then rm -rf -- "$place"; fi
}

check_needs() {
  local missing=()
  [[ -x $build/postern ]] || fail "there is no $build/postern yet; build it first: cmake --preset release && cmake --build --preset release"
  for plugin in twilio openai_realtime; do
    [[ -e $build/plugins/$plugin.so ]] || fail "there is no $build/plugins/$plugin.so; build it first: cmake --build --preset release"
  done
  command -v espeak-ng >/dev/null || missing+=(espeak-ng)
  "$python" -c 'import websockets' 2>/dev/null || missing+=(python3-websockets)
  [[ ${#missing[@]} -eq 0 ]] || fail "needed: apt install ${missing[*]}"
}

# The caller's lines, spoken into files. Each is one turn for the model.
record() {
  local n=0 line
  for line in "Sorry, I would like an appointment, please." "At ten, please." "No, thank you. Goodbye."; do
    n=$((n + 1))
    espeak-ng -v en-us+f3 -s 150 -w "$out/caller-$n.wav" "$line"
  done
}

write_script() {
  cat >"$out/model-script.json" <<'EOF'
{"responses": [
  {"say": "Hello, this is the Riverside dental practice. You are talking to our assistant. We are open from Monday to Friday, from nine to five o'clock, and on Saturday mornings. How can I help you today?"},
  {"say": "Of course. For Monday press one, for Tuesday press two."},
  {"say": "Tuesday. I have ten o'clock, or three o'clock."},
  [{"say": "One moment."}, {"call": {"name": "book", "arguments": {"day": "Tuesday", "time": "10:00"}}}],
  {"say": "You are booked for Tuesday at ten. Is there anything else?"},
  [{"say": "See you on Tuesday. Goodbye."}, {"call": {"name": "end_call", "arguments": {}}}]
 ],
 "transcripts": ["Sorry, I would like an appointment, please.", "At ten, please.", "No, thank you. Goodbye."]}
EOF
}

# start_standin NAME PROGRAM…: in the background; leaves the port that it prints in `port`.
start_standin() {
  local name=$1 deadline=$((SECONDS + 15))
  shift
  "$python" -B "$@" </dev/null >"$out/$name.out" 2>&1 &
  pids[$name]=$!
  until port=$(sed -n 's/^{"port": \([0-9]*\)}$/\1/p' "$out/$name.out") && [[ -n $port ]]; do
    kill -0 "${pids[$name]}" 2>/dev/null || fail "the $name stand-in did not start: $(cat "$out/$name.out")"
    [[ $SECONDS -lt $deadline ]] || fail "the $name stand-in does not say its port; see $out/$name.out"
    sleep 0.05
  done
  rm -f "$out/$name.out"
}

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The secrets are made up: they are known to the stand-ins alone.
write_config() {
  cat >"$out/gateway.yaml" <<EOF
gateway: {listen: ["127.0.0.1:$gateway_port"], public_url: "https://hooks.riverside-dental.test"}
admin: {socket: $place/admin.sock}
store: {kind: sqlite, path: $place/events.db}
plugin_dir: $build/plugins
plugins:
  - name: twilio
    library: twilio.so
    config: {auth_tokens: [demo-auth-token]}
  - name: openai_realtime
    library: openai_realtime.so
    config:
      api_key: sk-demo
      url: ws://127.0.0.1:$model_port/v1/realtime
      media_streams: {signed_by: twilio, token: required}
      greeting: Greet the caller, and say when the practice is open.
      fallback: "<Response><Say>Sorry, we cannot talk now. Please call again.</Say></Response>"
      session:
        model: gpt-realtime
        voice: marin
        instructions: You answer the telephone of a dental practice. Be brief and kind. Book appointments with the tool.
        transcription: {model: gpt-4o-mini-transcribe}
        turn_detection: {type: server_vad, silence_duration_ms: 450}
      tools:
        - name: book
          description: Books an appointment.
          url: http://127.0.0.1:$calendar_port/book
          deadline: 5s
          parameters:
            type: object
            properties: {day: {type: string}, time: {type: string}}
            required: [day, time]
EOF
  chmod 600 "$out/gateway.yaml"
}

start_gateway() {
  local deadline=$((SECONDS + 30))
  "$build/postern" serve -c "$out/gateway.yaml" </dev/null >"$out/gateway.log" 2>&1 &
  pids[gateway]=$!
  until "$build/postern" status -c "$out/gateway.yaml" >/dev/null 2>&1; do
    if ! kill -0 "${pids[gateway]}" 2>/dev/null; then
      cat "$out/gateway.log" >&2
      fail "the gateway did not start; its last words are above"
    fi
    [[ $SECONDS -lt $deadline ]] || fail "the gateway does not answer; see $out/gateway.log"
    sleep 0.1
  done
}

# verify TEXT COMMAND…: says whether it is so, and remembers when it is not.
verify() {
  local text=$1
  shift
  if "$@"; then
    printf '  %sok%s     %s\n' "$green" "$plain" "$text"
  else
    printf '  %sWRONG%s  %s\n' "$red" "$plain" "$text"
    wrong=$((wrong + 1))
  fi
}
# count FILE PATTERN…: lines of a journal with all the patterns.
count() {
  local lines file=$1 pattern
  lines=$(cat "$file")
  shift
  for pattern in "$@"; do lines=$(grep -e "$pattern" <<<"$lines" || true); done
  grep -c . <<<"$lines" || true
}
is() { [[ $1 == "$2" ]]; }

# What happens, as the caller's journal tells it.
narrate() {
  sed -u -n -E '
    s/.*"event": "open".*/the stream is connected/p
    s/.*"event": "refused", (.*)\}$/the stream is refused: \1/p
    s/.*"kind": "wav".*/the caller speaks/p
    s/.*"event": "clear_received", "dropped_ms": ([0-9]+).*/the model is interrupted: \1 ms that it had still to say are dropped/p
    s/.*"kind": "dtmf", "value": "([^"]*)".*/the caller presses \1/p
    s/.*"event": "closed", "by": "([a-z]*)", "code": ([0-9]+).*/the stream is closed by the \1, with \2/p' | sed -u "s/.*/  $dim&$plain/"
}

ring() {
  title "2. Twilio asks what to do with the call, and is told to connect it to a stream, with a token for this call"
  "$build/postern" send twilio incoming-call --id "$call_id" -c "$out/gateway.yaml" >"$place/incoming-call.txt" 2>&1 || true
  grep -o '<Response>.*' "$place/incoming-call.txt" | sed "s/^/  $dim/; s/value=\"\([0-9]\{10\}\)[0-9a-fx]*\"/value=\"\1…\"/; s/\$/$plain/" || true
  token=$(sed -n 's/.*<Parameter name="token" value="\([^"]*\)".*/\1/p' "$place/incoming-call.txt")
  call_sid=$(sed -n 's/.*<Parameter name="CallSid" value="\([^"]*\)".*/\1/p' "$place/incoming-call.txt")
  [[ -n $token ]] || fail "the answer has no token: $(cat "$place/incoming-call.txt")"
}

talk() {
  title "3. The call, in real time (half a minute)"
  local status=0 stream=wss://hooks.riverside-dental.test/api/v1/voice/media-stream
  : >"$out/caller.jsonl"
  "$python" -B "$standins/twilio_caller.py" "ws://127.0.0.1:$gateway_port/api/v1/voice/media-stream" --signed-url "$stream" \
    --auth-token demo-auth-token --call-sid "$call_sid" --parameter "token=$token" --parameter From=+14155550123 \
    --parameter To=+14155550100 --longest-ms 90000 --heard "$out/heard.wav" --log "$out/caller.jsonl" \
    --do heard:4500 --do "wav:$out/caller-1.wav" --do heard:500 --do quiet:500 --do 'dtmf:2#' --do heard:500 --do quiet:500 \
    --do "wav:$out/caller-2.wav" --do heard:1500 --do quiet:700 --do "wav:$out/caller-3.wav" --do silence:15000 \
    </dev/null 2>"$out/caller.err" &
  pids[caller]=$!
  tail --pid="${pids[caller]}" -s 0.2 -n +1 -f "$out/caller.jsonl" | narrate &
  pids[narrator]=$!
  wait "${pids[caller]}" || status=$?
  unset 'pids[caller]'
  wait "${pids[narrator]}" || true  # it ends with the caller
  unset 'pids[narrator]'
  [[ -s $out/caller.err ]] || rm -f "$out/caller.err"
  verify "the gateway kept to Twilio's protocol" is "$status" 0
  verify "and to OpenAI's" is "$(count "$out/model.jsonl" '"event": "violation"')" 0
  verify "the caller interrupted once: playback was cleared" is "$(count "$out/caller.jsonl" '"event": "clear_received"')" 1
  verify "and the model was told how much was heard (truncate)" is "$(count "$out/model.jsonl" '"type": "conversation.item.truncated"')" 1
  verify "the key reached the model" is "$(count "$out/model.jsonl" '"event": "client"' 'pressed these keys of the phone: 2#')" 1
  verify "the tool's endpoint was asked, and booked once" is "$(count "$out/calendar.jsonl" '"event": "booking"')" 1
}

# The event is stored when the stream has ended, and handled at once.
keep_event() {
  title "4. What remains: the event voice.call.completed, durable in the store"
  local id='' deadline=$((SECONDS + 10))
  until "$build/postern" events list --type voice.call.completed --json -c "$out/gateway.yaml" >"$place/list" &&
    id=$(sed -n 's/.*"event_id": "\(evt_[0-9a-z]*\)".*/\1/p' "$place/list" | head -n 1) && [[ -n $id ]]; do
    [[ $SECONDS -lt $deadline ]] || fail "no such event is stored; see $out/gateway.log"
    sleep 0.1
  done
  "$build/postern" events show "$id" --json -c "$out/gateway.yaml" |
    "$python" -c 'import json, sys; print(json.dumps(json.loads(json.load(sys.stdin)["body"]), indent=2, ensure_ascii=False))' >"$out/event.json"
  sed "s/^/  $dim/; s/\$/$plain/" "$out/event.json"
  verify "the model hung up" grep -q '"ended_by": "model"' "$out/event.json"
  verify "its tool is done" grep -q '"outcome": "done"' "$out/event.json"
}

conclude() {
  local status=0
  stop gateway || status=$?
  verify "the gateway stopped cleanly" is "$status" 0
  "$python" -B "$root/tests/voice/timeline.py" "$out/caller.jsonl" "$out/model.jsonl" --title "A call to Riverside Dental" -o "$out/timeline.svg"
  if [[ $wrong -gt 0 ]]; then fail "$wrong of the steps above went wrong; the journals and the gateway's log are in $out"; fi
  cat <<EOF

${green}All steps went as they should.${plain} In $out:

  ${bold}timeline.svg${plain}   look at it in a browser: who spoke when, the interruption with its clear and truncate, the tool
  ${bold}heard.wav${plain}      listen to it: what the caller hears; the greeting ends where the caller began to speak
  event.json     what remains of the call
  gateway.yaml   the configuration that did it
  caller.jsonl, model.jsonl, calendar.jsonl, gateway.log   each message, as both ends and the calendar saw it
EOF
}

main() {
  local port gateway_port model_port calendar_port token call_sid
  read_options "$@"
  check_needs
  mkdir -p -- "$out"
  out=$(cd -- "$out" && pwd)
  build=$(cd -- "$build" && pwd)
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  place=$(mktemp -d /tmp/postern-voice-XXXXXX)  # short: the path of a Unix socket ends at 107 bytes
  title "1. The far ends: a scripted OpenAI Realtime server and a calendar; and the gateway between them"
  record
  write_script
  start_standin model "$standins/realtime_server.py" --script "$out/model-script.json" --key sk-demo --log "$out/model.jsonl"
  model_port=$port
  start_standin calendar "$standins/calendar_server.py" --log "$out/calendar.jsonl" --delay-ms 300
  calendar_port=$port
  gateway_port=$(free_port)
  write_config
  start_gateway
  echo "  the gateway listens on 127.0.0.1:$gateway_port, the model on $model_port, the calendar on $calendar_port"
  ring
  talk
  keep_event
  conclude
}

main "$@"
