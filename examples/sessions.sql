-- Views over the tables that target-postgres makes: the sessions of both vendors as one,
-- figures by day, and Avaamo's own figures beside what has been loaded.
--
-- They are made where the search_path says, which must be where the tables are: those of
-- streams that are not mapped or flattened. Times are in UTC, without a zone. Of one
-- vendor alone, leave out what names the other's tables.
--
-- Where a year holds a million messages, the sessions of its last week took 2 seconds, and
-- half a second with this index; for all of them at once it is of no use.
--
--   create index on avaamo_messages (agent_id, ("user" ->> 'layer_id'), created_at);


-- A row is a session.
--
--   vendor      avaamo or kore
--   bot_id      the agent of Avaamo's, the bot of Kore.ai's
--   session_id  Kore.ai's; the conversation of Avaamo's, null without avaamo_queries
--   user_id     layer_id of Avaamo's
--   started_at
--   ended_at    null if it is open, or not known
--   duration    the time between
--   is_open     null for Avaamo and for older versions of Kore.ai, which don't tell
--   containment selfService, dropOff or agent; null if it is open, or not known
--   messages    null if not known
--
-- Avaamo tells of a session who began it and when, and nothing else. Where avaamo_queries
-- is loaded, its conversations are the sessions that have messages: each begins with its
-- first query and ends with its last one. Where it is not, a session gets those messages
-- of its user that came before the user's next session, and ends with the last of them.
-- So the last session of a user may still grow, one that is left and taken up a week
-- later is a week long, and messages without a layer_id belong to no session. In both
-- cases, a session without messages is not known to have ended, and messages are the
-- user's alone.
--
-- Kore.ai serves the end, the containment and the number of messages of a session that is
-- open as they stand: its end is its latest activity, its containment selfService. The
-- first two are left out here until the session is closed. Messages are the user's and
-- the bot's.
select to_regclass('avaamo_queries') is not null as has_queries \gset

create or replace view avaamo_sessions_with_messages as
with avaamo as (
  select
    agent_id,
    layer_id,
    created_at,
    lead(created_at) over (partition by agent_id, layer_id order by created_at) as next
  from avaamo_sessions
)
select
  avaamo.agent_id,
  null as conversation_uuid,
  avaamo.layer_id,
  avaamo.created_at as started_at,
  max(message.created_at) as ended_at,
  count(message.message_uuid) as messages
from avaamo
left join avaamo_messages as message
  on message.agent_id = avaamo.agent_id
  and message."user" ->> 'layer_id' = avaamo.layer_id
  and message.created_at >= avaamo.created_at
  and (message.created_at < avaamo.next or avaamo.next is null)
group by avaamo.agent_id, avaamo.layer_id, avaamo.created_at;

\if :has_queries
create or replace view avaamo_talks as
select
  query.agent_id,
  query.conversation_uuid,
  max(message."user" ->> 'layer_id') as layer_id,
  min(query.created_at) as started_at,
  max(query.created_at) as ended_at,
  count(*) as messages
from avaamo_queries as query
left join avaamo_messages as message using (agent_id, message_uuid)
group by query.agent_id, query.conversation_uuid
union all
select * from avaamo_sessions_with_messages where messages = 0;
\else
create or replace view avaamo_talks as
select * from avaamo_sessions_with_messages;
\endif

create or replace view sessions as
with kore as (
  select *, session_status = 'active' as is_open
  from kore_sessions
)
select
  'avaamo' as vendor,
  agent_id as bot_id,
  conversation_uuid as session_id,
  layer_id as user_id,
  started_at,
  ended_at,
  ended_at - started_at as duration,
  null::boolean as is_open,
  null as containment,
  messages
from avaamo_talks
union all
select
  'kore',
  bot_id,
  session_id,
  user_id,
  start_time,
  case when is_open then null else end_time end,
  case when is_open then null else end_time - start_time end,
  is_open,
  case when is_open then null else containment_type end,
  no_of_messages_exchanged
from kore;


-- A row is a day of a bot, in UTC, with the sessions that began on it. Each figure is of
-- those of which it is known, and null if it is of none.
--
-- The containment rate is the share of selfService: a session that its user has dropped
-- counts as not contained.
create or replace view sessions_by_day as
select
  vendor,
  bot_id,
  started_at::date as day,
  count(*) as sessions,
  count(distinct user_id) as users,
  sum(messages) as messages,
  percentile_cont(0.5) within group (order by duration) as median_duration,
  sum(is_open::integer) as open,
  sum((containment = 'selfService')::integer) as self_service,
  sum((containment = 'dropOff')::integer) as dropped_off,
  sum((containment = 'agent')::integer) as passed_to_agent,
  round(avg((containment = 'selfService')::integer), 4) as containment_rate
from sessions
group by vendor, bot_id, day;


-- A row is a day of an agent of Avaamo's, as it runs at avaamo_utc_offset: what Avaamo
-- has counted, and what has been loaded.
--
-- They differ on a day that was not over when it was read, on a day that start_date cuts,
-- where records came later than a lookback, and by sessions that equal another one in
-- user and instant, which make one row.
create or replace view avaamo_usage_compared as
with offsets as (
  select distinct agent_id, utc_offset
  from avaamo_usage
),
sessions as (
  select
    agent_id,
    utc_offset,
    (created_at + make_interval(secs => utc_offset))::date as date,
    count(*) as loaded
  from avaamo_sessions
  join offsets using (agent_id)
  group by 1, 2, 3
),
messages as (
  select
    agent_id,
    utc_offset,
    (created_at + make_interval(secs => utc_offset))::date as date,
    count(*) as loaded
  from avaamo_messages
  join offsets using (agent_id)
  group by 1, 2, 3
)
select
  agent_id,
  date,
  session_count as sessions_counted,
  coalesce(sessions.loaded, 0) as sessions_loaded,
  messages_count as messages_counted,
  coalesce(messages.loaded, 0) as messages_loaded
from avaamo_usage
left join sessions using (agent_id, utc_offset, date)
left join messages using (agent_id, utc_offset, date);
