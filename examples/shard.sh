#!/usr/bin/env bash
# One shard of a backfill: what CONFIG names, from START up to END, itself excluded.
#
#     TARGET="target-postgres --config target.json" shard.sh CONFIG START END
#
# Its state and its log are in a folder of its own, backfill/CONFIG/START--END. However
# it ended, run again it goes on from what the target has confirmed; once it is
# complete, it does nothing. No second run of a shard begins while one goes on.
set -euo pipefail
# shellcheck source=examples/state.sh
. "$(dirname "$0")/state.sh"

config=$1 start=$2 end=$3
folder="backfill/$(basename "$config" .json)/$start--$end"
[ ! -e "$folder/done" ] || exit 0
if [[ ! $end < $(date -u +%F) ]]; then
  echo "$end is not past; a shard must be complete once it has been read" >&2
  exit 1
fi
mkdir -p "$folder"
lock "$folder" "$folder"
restore "$folder"

# There is no lookback: what is long past comes late no more.
printf '{"start_date": "%s", "end_date": "%s", "lookback_hours": 0}\n' \
  "$start" "$end" > "$folder/range.json"

# TARGET is a command with its arguments, hence without quotes.
if tap-botsessions --config "$config" --config "$folder/range.json" \
  --state "$folder/state.json" 2>> "$folder/log" |
  $TARGET > "$folder/states" 2>> "$folder/log"
then
  touch "$folder/done"
else
  echo "incomplete: $folder; its log says why" >&2
  exit 1
fi
