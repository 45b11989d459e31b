#!/usr/bin/env bash
# Runs a copy of a test beside the node modules that install_node_modules.sh installed.
# Usage: run_node.sh FOLDER TEST.mjs ARGUMENT…
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?usage: run_node.sh FOLDER TEST.mjs ARGUMENT…}
test=$2
cp "$here/$test" "$folder/$test"
exec node "$folder/$test" "${@:3}"
