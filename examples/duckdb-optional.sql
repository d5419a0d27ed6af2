-- As duckdb.sql, for the streams that are read only if a catalog selects them: leave
-- out those that are not.

CREATE OR REPLACE TABLE avaamo_feedback AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/avaamo_feedback-*.jsonl',
    filename = true,
    columns = {
      agent_id: 'VARCHAR', feedback_id: 'BIGINT', created_at: 'TIMESTAMPTZ',
      timetoken: 'DOUBLE', message_uuid: 'VARCHAR', conversation_uuid: 'VARCHAR',
      positive: 'BOOLEAN', comment: 'VARCHAR', user_query: 'VARCHAR',
      bot_replies: 'VARCHAR', intent_name: 'VARCHAR', intent_type: 'VARCHAR',
      node_key: 'VARCHAR', skill_name: 'VARCHAR', user: 'JSON',
      additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY agent_id, feedback_id ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE avaamo_queries AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/avaamo_queries-*.jsonl',
    filename = true,
    columns = {
      agent_id: 'VARCHAR', query_id: 'BIGINT', created_at: 'TIMESTAMPTZ',
      timetoken: 'DOUBLE', conversation_uuid: 'VARCHAR', message_uuid: 'VARCHAR',
      user_query: 'VARCHAR', intent_name: 'VARCHAR', intent_type: 'VARCHAR',
      node_key: 'VARCHAR', detected_language: 'VARCHAR', channel: 'JSON', user: 'JSON',
      skill: 'JSON', tags: 'JSON', insights: 'JSON', additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY agent_id, query_id ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE avaamo_transcripts AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/avaamo_transcripts-*.jsonl',
    filename = true,
    columns = {
      agent_id: 'VARCHAR', message_uuid: 'VARCHAR', created_at: 'TIMESTAMPTZ',
      timetoken: 'DOUBLE', conversation_uuid: 'VARCHAR',
      request_message_uuid: 'VARCHAR', agent_message_uuid: 'VARCHAR',
      content: 'VARCHAR', content_type: 'VARCHAR', sequence: 'VARCHAR', user: 'JSON',
      conversation: 'JSON', external_source: 'VARCHAR', device_uuid: 'VARCHAR',
      custom_properties: 'JSON', attachments: 'JSON', additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY agent_id, message_uuid ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE kore_analytics AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/kore_analytics-*.jsonl',
    filename = true,
    columns = {
      bot_id: 'VARCHAR', type: 'VARCHAR', analytics_id: 'VARCHAR',
      timestamp: 'TIMESTAMPTZ', message_id: 'VARCHAR', session_id: 'VARCHAR',
      utterance: 'VARCHAR', intent: 'VARCHAR', winning_intents: 'JSON',
      is_ambiguous: 'BOOLEAN', ambiguous_intents: 'JSON', task_id: 'VARCHAR',
      task_name: 'VARCHAR', node_name: 'VARCHAR', flow: 'JSON', prompt_type: 'VARCHAR',
      performance_type: 'VARCHAR', status: 'VARCHAR', status_code: 'VARCHAR',
      response_time: 'DOUBLE', user_id: 'VARCHAR', channel_user_id: 'VARCHAR',
      channel: 'VARCHAR', language: 'VARCHAR', pinned: 'BOOLEAN', custom_tags: 'JSON',
      nl_analysis: 'JSON', additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY bot_id, type, analytics_id ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE kore_bots AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/kore_bots-*.jsonl',
    filename = true,
    columns = {
      bot_id: 'VARCHAR', name: 'VARCHAR', description: 'VARCHAR', status: 'VARCHAR',
      type: 'VARCHAR', purpose: 'VARCHAR', default_language: 'VARCHAR',
      account_id: 'VARCHAR', created_on: 'TIMESTAMPTZ', created_by: 'VARCHAR',
      is_linked_to: 'JSON', is_deflect: 'BOOLEAN', additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY bot_id ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE kore_feedback AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/kore_feedback-*.jsonl',
    filename = true,
    columns = {
      bot_id: 'VARCHAR', feedback_id: 'VARCHAR', timestamp: 'TIMESTAMPTZ',
      session_id: 'VARCHAR', survey_name: 'VARCHAR', survey_type: 'VARCHAR',
      score: 'DOUBLE', comments: 'VARCHAR', user_id: 'VARCHAR',
      channel_user_id: 'VARCHAR', channel: 'VARCHAR', language: 'VARCHAR',
      additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY bot_id, feedback_id ORDER BY filename DESC, line DESC
);

CREATE OR REPLACE TABLE kore_messages AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/kore_messages-*.jsonl',
    filename = true,
    columns = {
      bot_id: 'VARCHAR', message_id: 'VARCHAR', created_on: 'TIMESTAMPTZ',
      session_id: 'VARCHAR', type: 'VARCHAR', status: 'VARCHAR', text: 'VARCHAR',
      user_id: 'VARCHAR', channel: 'VARCHAR', language: 'VARCHAR',
      last_modified_on: 'TIMESTAMPTZ', components: 'JSON', channels: 'JSON',
      tags: 'JSON', is_developer: 'BOOLEAN', message_kind: 'BIGINT',
      trace_id: 'VARCHAR', additional_fields: 'JSON'
    }
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY bot_id, message_id ORDER BY filename DESC, line DESC
);
