#!/usr/bin/env bash
# One run of a pipeline, which goes on from the one before, however that ended.
#
#     TARGET="target-postgres --config target.json" nightly.sh CONFIG [OPTION...]
#
# The state is in a folder beside CONFIG, and no second run of the same CONFIG begins
# while one goes on. The exit code is not 0 if the tap or the target failed. What is
# given after CONFIG is passed on to the tap, such as --catalog catalog.json.
set -euo pipefail

config=$1
shift
folder="${config%.json}-state"
mkdir -p "$folder"
if command -v flock > /dev/null; then
  exec 9> "$folder/lock"
  flock --timeout 3 9 || { echo "$config: another run goes on" >&2; exit 1; }
else
  echo "$config: no flock here; see that no second run of it begins meanwhile" >&2
fi

# The target's last state counts, unless a kill has cut it short: the newlines tell.
touch "$folder/states"
whole=$(($(wc -l < "$folder/states")))
if [ "$whole" -gt 0 ]; then
  head -n "$whole" "$folder/states" | tail -n 1 > "$folder/state.new"
  mv "$folder/state.new" "$folder/state.json"
elif [ ! -e "$folder/state.json" ]; then
  echo '{}' > "$folder/state.json"
fi

# TARGET is a command with its arguments, hence without quotes.
tap-botsessions --config "$config" --state "$folder/state.json" "$@" |
  $TARGET > "$folder/states"
