#!/usr/bin/env bash
# The plugin template, built as somebody with postern-dev does: a copy of it, against the SDK as it is installed. Its own test runs, and the
# gateway takes what was built.
# Usage: template_test.sh BUILD_FOLDER POSTERN
set -euo pipefail

build=$1 postern=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cmake --install "$build" --component dev --prefix "$folder/usr" >/dev/null
cp -r "$folder/usr/share/postern/template" "$folder/my-plugin"
cd "$folder/my-plugin"
cmake -B build -DCMAKE_PREFIX_PATH="$folder/usr" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build
ctest --test-dir build --output-on-failure

chmod go-w "$folder" build build/plugins build/plugins/orders.so
cat >gateway.yaml <<EOF
gateway: {listen: [127.0.0.1:0]}
admin: {socket: $folder/admin.sock}
store: {path: $folder/events.db}
plugins:
  - name: orders
    library: $folder/my-plugin/build/plugins/orders.so
    config: {secrets: [s3cret]}
EOF
chmod go-w gateway.yaml
"$postern" check -c gateway.yaml
"$postern" plugins -c gateway.yaml --json | grep -q '"order.paid"'
