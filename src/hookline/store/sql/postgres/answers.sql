-- Answers to requests with an Idempotency-Key.

-- name: claim
INSERT INTO hookline_answers AS a (org_id, name, owner, fingerprint, answer, size, expires_at_ms)
VALUES ($1, $2, $3, $4, NULL, 0, $5)
ON CONFLICT (org_id, name) DO UPDATE
SET owner = excluded.owner, fingerprint = excluded.fingerprint, answer = NULL, size = 0,
    expires_at_ms = excluded.expires_at_ms
WHERE a.expires_at_ms <= $6
RETURNING 1;

-- name: find
SELECT fingerprint, answer FROM hookline_answers WHERE org_id = $1 AND name = $2;

-- name: keep
UPDATE hookline_answers SET answer = $4, size = $5, expires_at_ms = $6
WHERE org_id = $1 AND name = $2 AND owner = $3 AND answer IS NULL
RETURNING 1;

-- name: release
DELETE FROM hookline_answers WHERE org_id = $1 AND name = $2 AND owner = $3 AND answer IS NULL;

-- name: trim
-- Requests at work are left alone.
DELETE FROM hookline_answers WHERE org_id = $1 AND name IN (
    SELECT name FROM (
        SELECT name, row_number() OVER latest AS number, sum(size) OVER latest AS bytes
        FROM hookline_answers WHERE org_id = $1 AND answer IS NOT NULL
        WINDOW latest AS (ORDER BY expires_at_ms DESC, name ROWS UNBOUNDED PRECEDING)
    ) AS ranked
    WHERE number > $2 OR bytes > $3);

-- name: prune
DELETE FROM hookline_answers r
USING (
    SELECT org_id, name FROM hookline_answers WHERE expires_at_ms <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
) AS old
WHERE (r.org_id, r.name) = (old.org_id, old.name)
RETURNING 1;
