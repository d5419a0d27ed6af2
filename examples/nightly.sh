#!/usr/bin/env bash
# One run of a pipeline, which goes on from the one before, however that ended.
#
#     TARGET="target-postgres --config target.json" nightly.sh CONFIG [OPTION...]
#
# The state is in a folder beside CONFIG, and no second run of the same CONFIG begins
# while one goes on. The exit code is not 0 if the tap or the target failed. What is
# given after CONFIG is passed on to the tap, such as --catalog catalog.json.
set -euo pipefail
# shellcheck source=examples/state.sh
. "$(dirname "$0")/state.sh"

config=$1
shift
folder="${config%.json}-state"
mkdir -p "$folder"
lock "$folder" "$config"
restore "$folder"

# TARGET is a command with its arguments, hence without quotes.
tap-botsessions --config "$config" --state "$folder/state.json" "$@" |
  $TARGET > "$folder/states"
