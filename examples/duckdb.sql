-- Tables in DuckDB out of the files of target-jsonl: one row for each key, the last one
-- that was written. Leave out the streams of a vendor that is not read.
--
-- The columns are declared, since read_json would guess types from the data: ids that
-- look like UUIDs would become some, and the fields of nested objects would be merged.

CREATE OR REPLACE TABLE avaamo_messages AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/avaamo_messages-*.jsonl',
    filename = true,
    columns = {
      agent_id: 'VARCHAR', message_uuid: 'VARCHAR', created_at: 'TIMESTAMPTZ',
      timetoken: 'DOUBLE', content: 'VARCHAR', score: 'DOUBLE', intent_type: 'VARCHAR',
      intent_name: 'VARCHAR', channel_name: 'VARCHAR', user: 'JSON',
      additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY agent_id, message_uuid ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE avaamo_sessions AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/avaamo_sessions-*.jsonl',
    filename = true,
    columns = {
      agent_id: 'VARCHAR', layer_id: 'VARCHAR', created_at: 'TIMESTAMPTZ',
      timetoken: 'DOUBLE', first_name: 'VARCHAR', last_name: 'VARCHAR',
      additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY agent_id, layer_id, created_at ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE avaamo_usage AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/avaamo_usage-*.jsonl',
    filename = true,
    columns = {
      agent_id: 'VARCHAR', date: 'DATE', utc_offset: 'BIGINT',
      start_time: 'TIMESTAMPTZ', end_time: 'TIMESTAMPTZ', session_count: 'BIGINT',
      messages_count: 'BIGINT', unhandled_messages_count: 'BIGINT',
      successful_responses_count: 'BIGINT', ambiguous_messages_count: 'BIGINT',
      interventions_count: 'BIGINT', success_rate_count: 'BIGINT',
      success_rate: 'DOUBLE', previous_interval_stats: 'JSON', stats: 'JSON',
      additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY agent_id, date ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE kore_sessions AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/kore_sessions-*.jsonl',
    filename = true,
    columns = {
      bot_id: 'VARCHAR', session_id: 'VARCHAR', start_time: 'TIMESTAMPTZ',
      end_time: 'TIMESTAMPTZ', user_id: 'VARCHAR', channel: 'VARCHAR',
      session_lang: 'VARCHAR[]', session_type: 'VARCHAR', containment_type: 'VARCHAR',
      session_status: 'VARCHAR', is_developer: 'BOOLEAN', tags: 'JSON',
      no_of_messages_exchanged: 'BIGINT', no_of_tasks_executed: 'BIGINT',
      additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY bot_id, session_id ORDER BY filename DESC, line DESC
);
