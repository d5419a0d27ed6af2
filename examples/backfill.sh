#!/usr/bin/env bash
# A backfill: what each CONFIG names, by a shard from each line of BORDERS to the next.
#
#     TARGET="target-postgres --config target.json" backfill.sh BORDERS CONFIG...
#
# The shards of one CONFIG share its vendors' budgets and run one after another; those
# of different ones run at once. If it does not end with 0, run it again: shards that
# are complete are passed over, and the others go on from where they were.
set -euo pipefail

borders=$1
shift
export shard ranges
shard="$(dirname "$0")/shard.sh"
ranges=$(paste -d ' ' "$borders" <(tail -n +2 "$borders") | sed '$d')

# Targets that make the same table at once fail, so the tables come first.
for config; do
  tap-botsessions --config "$config" --test=schema | $TARGET > /dev/null
done

# shellcheck disable=SC2016 # for the inner shell
printf '%s\n' "$@" |
  xargs -P "$#" -I CONFIG bash -c 'xargs -L 1 "$shard" "$1" <<< "$ranges"' - CONFIG
