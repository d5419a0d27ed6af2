#!/usr/bin/env bash
# Have the warehouse lose, mark or list what the vendors have erased. Run it after the
# pipeline, with the stream sync_windows and the target's add_record_metadata.
#
#     SQL="psql -XqAt -v ON_ERROR_STOP=1 postgresql://..." erasure.sh delete
#
# list    names the tables and how many records of each are gone
# mark    sets deleted_at, a column that the table gets, where it is not set yet
# delete  deletes them, and notes when they were of in erased_records
#
# SQL is a command that reads SQL from standard input, such as psql or duckdb.
# SCHEMA is where the tables are, if they are not where that command looks first.
# WEEK and HOUR are intervals in the warehouse's own words; BigQuery's are INTERVAL 7 DAY
# and INTERVAL 1 HOUR.
set -euo pipefail

action=${1:-list}
week=${WEEK:-"INTERVAL '7' DAY"}
hour=${HOUR:-"INTERVAL '1' HOUR"}
template="$(dirname "$0")/erasure.sql"

# The table, its column with the bot, its column with the time, and the rest of its key.
streams="
avaamo_feedback agent_id created_at feedback_id
avaamo_messages agent_id created_at message_uuid
avaamo_queries agent_id created_at query_id
avaamo_sessions agent_id created_at layer_id created_at
avaamo_transcripts agent_id created_at message_uuid
kore_analytics bot_id timestamp type analytics_id
kore_feedback bot_id timestamp feedback_id
kore_messages bot_id created_on message_id
kore_sessions bot_id start_time session_id
"

# SQL is a command with its arguments, hence without quotes.
run() {
  {
    echo "SET TimeZone = 'UTC';" # as the columns of targets are
    [ -z "${SCHEMA:-}" ] || echo "SET search_path TO $SCHEMA;"
    cat
  } | $SQL
}

has() {
  local found
  found=$(echo "SELECT 'found' FROM information_schema.tables WHERE table_name = '$1';" | $SQL)
  [[ $found == *found* ]]
}

case $action in list | mark | delete) ;; *) echo "$0: list, mark or delete?" >&2; exit 2 ;; esac
has sync_windows || { echo "$0: there is no table sync_windows; select that stream" >&2; exit 1; }

while read -r stream bot at key; do
  if [ -z "$stream" ] || ! has "$stream"; then continue; fi
  same="$stream.$bot = g.$bot" newer="newer.$bot = r.$bot"
  for column in $key; do
    same+=" AND $stream.$column = g.$column"
    newer+=" AND newer.$column = r.$column"
  done
  gone="EXISTS (SELECT 1 FROM ${stream}_gone g WHERE $same)"
  {
    echo "BEGIN;"
    sed "/^--/d; s/@stream@/$stream/g; s/@bot@/$bot/g; s/@at@/$at/g; s/@week@/$week/g; \
      s/@hour@/$hour/g; s/@same@/$newer/g" "$template"
    case $action in
      list)
        echo "SELECT '$stream: ' || COUNT(*) || ' gone' FROM ${stream}_gone;"
        ;;
      mark)
        echo "ALTER TABLE $stream ADD COLUMN IF NOT EXISTS deleted_at TIMESTAMP;"
        echo "UPDATE $stream SET deleted_at = NULL WHERE _sdc_extracted_at > deleted_at;"
        echo "SELECT '$stream: ' || COUNT(*) || ' marked' FROM $stream WHERE deleted_at IS NULL AND $gone;"
        echo "UPDATE $stream SET deleted_at = CURRENT_TIMESTAMP WHERE deleted_at IS NULL AND $gone;"
        ;;
      delete)
        echo "CREATE TABLE IF NOT EXISTS erased_records (stream VARCHAR(100), bot VARCHAR(1000), record_time TIMESTAMP, erased_at TIMESTAMP);"
        echo "SELECT '$stream: ' || COUNT(*) || ' deleted' FROM ${stream}_gone;"
        echo "INSERT INTO erased_records SELECT '$stream', $bot, $at, CURRENT_TIMESTAMP FROM ${stream}_gone;"
        echo "DELETE FROM $stream WHERE $gone;"
        ;;
    esac
    echo "DROP VIEW ${stream}_gone; DROP VIEW ${stream}_whole; COMMIT;"
  } | run
done <<< "$streams"
