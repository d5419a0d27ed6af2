# What nightly.sh and shard.sh have in common: the state of a pipeline, in a folder.

# Keep a second run of a pipeline away, from here on to the end of the script.
#
#     lock FOLDER NAME
lock() {
  if command -v flock > /dev/null; then
    exec 9> "$1/lock"
    flock --timeout 3 9 || { echo "$2: another run goes on" >&2; exit 1; }
  else
    echo "$2: no flock here; see that no second run of it begins meanwhile" >&2
  fi
}

# Make FOLDER/state.json the state of the last run, by what its target said (states).
# The target's last state counts, unless a kill has cut it short: the newlines tell.
#
#     restore FOLDER
restore() {
  touch "$1/states"
  local whole=$(($(wc -l < "$1/states")))
  if [ "$whole" -gt 0 ]; then
    head -n "$whole" "$1/states" | tail -n 1 > "$1/state.new"
    mv "$1/state.new" "$1/state.json"
  elif [ ! -e "$1/state.json" ]; then
    echo '{}' > "$1/state.json"
  fi
}
