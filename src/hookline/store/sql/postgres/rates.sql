-- Slots of rates, on the database's own clock. The arithmetic is that of `store/pacing.py`.

-- name: take_slots
-- Keys, rates a second, how many are wanted; horizon and what is absurdly far ahead, in nanoseconds.
WITH asked AS MATERIALIZED (
    SELECT key, 1000000000 / rate AS interval_ns, wanted
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS a (key, rate, wanted)
), held AS MATERIALIZED (
    SELECT r.key, r.taken_until_ns, asked.interval_ns, asked.wanted
    FROM asked
    JOIN hookline_rates r ON r.key = asked.key
    ORDER BY r.key
    FOR UPDATE OF r
), timed AS MATERIALIZED (  -- the clock is read when the locks are ours
    SELECT held.*, (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint AS now_ns FROM held
), placed AS MATERIALIZED (
    SELECT key, interval_ns, wanted, now_ns,
           CASE WHEN taken_until_ns > now_ns + $5 THEN now_ns ELSE GREATEST(taken_until_ns, now_ns) END AS start_ns
    FROM timed
), given AS MATERIALIZED (
    SELECT key, interval_ns, now_ns, start_ns,
           CASE WHEN start_ns >= now_ns + $4 THEN 0
                ELSE LEAST(wanted, GREATEST(1, (now_ns + $4 - start_ns) / interval_ns)) END AS count
    FROM placed
), taken AS (
    UPDATE hookline_rates r SET taken_until_ns = given.start_ns + given.count * given.interval_ns
    FROM given WHERE r.key = given.key AND given.count > 0
)
SELECT key, CASE WHEN count > 0 THEN start_ns - now_ns ELSE start_ns - now_ns - $4 END AS delay_ns, count FROM given;

-- name: add_rates
INSERT INTO hookline_rates (key, taken_until_ns)
SELECT key, 0 FROM unnest($1::text[]) AS new (key) ORDER BY key COLLATE "C"
ON CONFLICT (key) DO NOTHING;

-- name: forget_rates
-- What was not used for so long has nothing to say any more.
DELETE FROM hookline_rates
WHERE taken_until_ns < (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint - $1::bigint * 1000000;
