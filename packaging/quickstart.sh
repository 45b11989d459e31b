#!/usr/bin/env bash
# Builds Postern, starts it on this machine, and shows webhooks going the whole way: a message, a call, the message once more
# (a duplicate) and a forged one. Every step is checked. Then the gateway goes on serving until Ctrl-C.
#
# Usage: packaging/quickstart.sh [--once] [--port N]
#   --once    stop after the demonstration
#   --port N  listen on 127.0.0.1:N instead of 8080
# Exit status: 0 all was as it should be, 1 something was not, 2 wrong usage.
#
# All it writes is in build/release and var/quickstart: a store that each run begins anew, secrets made for it, the gateway's log,
# and `var/quickstart/postern`, the command with all of that set.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
place=$root/var/quickstart
postern=$place/postern
port=8080
once=no
serving=no
gateway=  # its pid, while it runs
wrong=0

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() {
  printf '\n%s%s%s\n' "$red" "quickstart: $*" "$plain" >&2
  exit 1
}
usage() {
  sed -n '5,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

read_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --once) once=yes ;;
      --port)
        [[ ${2:-} =~ ^[1-9][0-9]{0,4}$ && $2 -le 65535 ]] || usage
        port=$2
        shift
        ;;
      *) usage ;;
    esac
    shift
  done
}

# Ends the gateway that this script started, and no other.
stop_gateway() {
  [[ -n $gateway ]] || return 0
  kill -TERM "$gateway" 2>/dev/null || true
  local status=0
  wait "$gateway" || status=$?
  gateway=
  return "$status"
}

# Ctrl-C. While the gateway serves, that is how one is meant to end it.
interrupted() {
  printf '\nStopping.\n'
  stop_gateway || exit 1
  [[ $serving == yes ]] || exit 130
  exit 0
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

build() {
  title "1. Dependencies"
  "$root/packaging/install-dependencies.sh" build
  title "2. Build (a few minutes the first time)"
  cd "$root"
  local tests=()
  [[ -e build/release/CMakeCache.txt ]] || tests=(-DPOSTERN_TESTS=OFF)  # they need more packages; ./tests/run.sh brings them
  cmake --preset release "${tests[@]}" | tail -n 1
  NINJA_STATUS='[%f of %t, %es] ' cmake --build --preset release --parallel "$(nproc)" --target postern openphone twilio
}

# Makes the secrets, and a command that knows them.
prepare() {
  local secret key token
  token=$(head -c 16 /dev/urandom | base64 --wrap=0)
  secret=$(head -c 32 /dev/urandom | base64 --wrap=0)
  key=$(head -c 32 /dev/urandom | base64 --wrap=0)
  rm -f "$place"/events.db "$place"/events.db-* "$place/secrets" "$postern"
  (
    umask 077
    cat >"$place/secrets" <<EOF
POSTERN_QUICKSTART_WEBHOOK_SECRET=whsec_$secret
POSTERN_QUICKSTART_SHARED_SECRET=$key
POSTERN_QUICKSTART_AUTH_TOKEN=$token
EOF
    cat >"$postern" <<EOF
#!/usr/bin/env bash
# The command of the quickstart's gateway, from any folder: var/quickstart/postern events list
set -ea
cd $(printf '%q' "$root")
. ./var/quickstart/secrets
POSTERN_QUICKSTART_PORT=$port
POSTERN_CONFIG=config/quickstart.yaml
exec ./build/release/postern "\$@"
EOF
    chmod u+x "$postern"
  )
}

start() {
  title "3. Start"
  "$postern" check
  "$postern" serve </dev/null >"$place/gateway.log" 2>&1 &
  gateway=$!
  echo "pid $gateway" >"$place/lock"
  local deadline=$((SECONDS + 30))
  # Whoever answers on that port must be ours.
  until curl --fail --silent --max-time 2 --output "$place/health" "http://127.0.0.1:$port/health" &&
    "$postern" status --json 2>/dev/null | grep -q "\"pid\": $gateway,"; do
    if ! kill -0 "$gateway" 2>/dev/null; then
      gateway=
      cat "$place/gateway.log" >&2
      if port_taken; then fail "port $port is taken by another program; choose one with --port"; fi
      fail "the gateway did not start; its last words are above"
    fi
    [[ $SECONDS -lt $deadline ]] || fail "the gateway does not answer on port $port; see $place/gateway.log"
    sleep 0.1
  done
  echo "GET http://127.0.0.1:$port/health: $(cat "$place/health")"
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

# send PLUGIN SAMPLE…: sends a sample through the port; prints request and answer; leaves `status`, `answer` and `event` behind.
send() {
  local shown=$place/exchange
  "$postern" send "$@" >"$shown" 2>&1 || true  # what a refusal is worth is for verify to say
  sed "s/^[→←].*/$bold&$plain/; s/^/  /" "$shown"
  status=$(sed -n 's/^← \([0-9]*\) .*/\1/p' "$shown")
  answer=$(sed -n 's/.*"status":"\([a-z_]*\)".*/\1/p' <<<"$(grep '^←' "$shown")")
  event=$(sed -n 's/^← .*"event_id":"\(evt_[0-9a-z]*\)".*/\1/p' "$shown")
}

is() { [[ $1 == "$2" ]]; }
stored() { "$postern" events list --json | grep -c '"event_id"' || true; }

# Waits until the event's one delivery is settled.
delivered() {
  local deadline=$((SECONDS + 20))
  [[ -n $1 ]] || return 1
  until "$postern" events show "$1" --json >"$place/event" && grep -q '"settled_at": [0-9]' "$place/event"; do
    [[ $SECONDS -lt $deadline ]] || return 1
    sleep 0.1
  done
  [[ $(grep -c '"state": "done"' "$place/event") -eq 2 ]]  # the delivery, and so the event
}

show_fate() {
  [[ -n $1 ]] || return 0
  "$postern" events show "$1" | sed -n "/^headers/q; s/.*/  $dim&$plain/p"
}

demonstrate() {
  local status answer event first
  title "4. A message: verified, made durable, acknowledged, then handled"
  send openphone message.received --id quickstart1
  first=$event
  verify "answered 200 queued" is "$status $answer" "200 queued"
  verify "one event is stored" is "$(stored)" 1
  verify "its delivery is done" delivered "$event"
  show_fate "$event"

  title "5. A call"
  send openphone call.completed
  verify "answered 200 queued" is "$status $answer" "200 queued"
  verify "two events are stored" is "$(stored)" 2
  verify "its delivery is done" delivered "$event"
  show_fate "$event"

  title "6. The message once more, as a provider does that missed the answer"
  send openphone message.received --id quickstart1
  verify "answered 200 duplicate_ignored" is "$status $answer" "200 duplicate_ignored"
  verify "with the first one's event_id" is "$event" "$first"
  verify "nothing more is stored" is "$(stored)" 2

  title "7. A forged one: its body was changed after it was signed"
  send openphone message.received --id quickstart2 --forge
  verify "answered 401" is "$status" 401
  verify "nothing more is stored" is "$(stored)" 2

  title "8. A phone call: Twilio asks what to do, and the plugin answers in TwiML"
  send twilio incoming-call --id 00000000000000000000c0de
  verify "answered 200" is "$status" 200
  verify "with a stream to connect the call to" grep -q '<Connect><Stream url="wss://' "$place/exchange"
  verify "the call is an event too, stored before the answer" is "$(stored)" 3

  title "9. How that call ended"
  send twilio call-status --id 00000000000000000000c0de
  verify "answered 200 queued" is "$status $answer" "200 queued"
  verify "its delivery is done" delivered "$event"
  show_fate "$event"

  title "10. A forged one: not signed with the auth token"
  send twilio call-status --forge
  verify "answered 401" is "$status" 401

  title "11. The store"
  "$postern" events list | sed 's/^/  /'
}

conclude() {
  if [[ $wrong -gt 0 ]]; then fail "$wrong of the steps above went wrong; the gateway's log is $place/gateway.log"; fi
  printf '\n%sAll steps went as they should.%s\n' "$green" "$plain"
}

serve_on() {
  cat <<EOF

The gateway serves on http://127.0.0.1:$port until Ctrl-C; its log is var/quickstart/gateway.log. In another terminal, try:

  ./var/quickstart/postern send openphone message.received --count 1000
  ./var/quickstart/postern send twilio incoming-call
  ./var/quickstart/postern events list --limit 5
  ./var/quickstart/postern status
  curl -i http://127.0.0.1:$port/api/health/
  curl -i -H 'Content-Type: application/json' -d '{"type":"message.received"}' \\
    http://127.0.0.1:$port/api/v1/webhooks/openphone      # unsigned: 401
EOF
  serving=yes
  local status=0
  wait "$gateway" || status=$?
  gateway=
  fail "the gateway ended with status $status; its log is $place/gateway.log"
}

main() {
  read_options "$@"
  mkdir -p "$place"
  # The gateway inherits the lock: should this script be killed, no other takes the store away from under it.
  exec 9>>"$place/lock"
  flock --nonblock 9 || fail "a quickstart of these sources runs already (gateway: $(cat "$place/lock")); end it first"
  echo "not started yet" >"$place/lock"
  if port_taken; then fail "port $port is taken by another program; choose one with --port, as in: $0 --port 8090"; fi
  trap 'stop_gateway || true' EXIT
  trap interrupted INT TERM
  build
  prepare
  start
  demonstrate
  conclude
  if [[ $once == no ]]; then serve_on; fi
  stop_gateway || fail "the gateway did not stop cleanly; see $place/gateway.log"
  echo "The gateway is stopped; what it stored is in var/quickstart. Without --once it goes on serving."
}

main "$@"
