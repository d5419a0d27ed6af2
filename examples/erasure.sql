-- What is gone from the vendor and still in the warehouse, of one table. erasure.sh puts
-- the names in: @stream@ is the table, @bot@ and @at@ are its columns with the bot and
-- the time of a record, @same@ says that two rows, r and newer, are of one record, and
-- @week@ and @hour@ are intervals in the warehouse's own words.
--
-- A window of sync_windows that was read whole, and all of whose records are loaded, has
-- all that the vendor has. What was extracted before that and was not since is gone: an
-- hour before, as the clocks of two machines that run the tap may differ.

CREATE OR REPLACE VIEW @stream@_whole AS
SELECT w.bot, w.window_start, w.window_end, w.begun_at, w.rows_emitted
FROM sync_windows w
LEFT JOIN @stream@ r
  ON r.@bot@ = w.bot AND r.@at@ >= w.window_start AND r.@at@ < w.window_end
  AND r._sdc_extracted_at >= w.begun_at
WHERE w.stream = '@stream@'
  AND w.gap IS NULL
  -- Older ones have been looked at by earlier runs.
  AND w.read_at >= (SELECT MAX(read_at) FROM sync_windows) - @week@
  -- A window that was read with other filters lacks what they leave out.
  AND NOT EXISTS (
    SELECT 1 FROM sync_windows other
    WHERE other.stream = w.stream AND other.bot = w.bot
      AND (other.filters <> w.filters OR (other.filters IS NULL) <> (w.filters IS NULL))
  )
GROUP BY w.run_id, w.number, w.bot, w.window_start, w.window_end, w.begun_at, w.rows_emitted
HAVING COUNT(r.@bot@) >= w.rows_emitted;

CREATE OR REPLACE VIEW @stream@_gone AS
SELECT r.* FROM @stream@ r
WHERE EXISTS (
  SELECT 1 FROM @stream@_whole w
  WHERE w.bot = r.@bot@ AND r.@at@ >= w.window_start AND r.@at@ < w.window_end
    AND r._sdc_extracted_at < w.begun_at - @hour@
    AND NOT EXISTS (
      SELECT 1 FROM @stream@ newer
      WHERE @same@ AND newer._sdc_extracted_at >= w.begun_at - @hour@
    )
);
