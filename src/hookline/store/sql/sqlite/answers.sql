-- Answers to requests with an Idempotency-Key.

-- name: claim
INSERT INTO hookline_answers (org_id, name, owner, fingerprint, answer, size, expires_at_ms)
VALUES (:org_id, :name, :owner, :fingerprint, NULL, 0, :until_ms)
ON CONFLICT (org_id, name) DO UPDATE
SET owner = excluded.owner, fingerprint = excluded.fingerprint, answer = NULL, size = 0,
    expires_at_ms = excluded.expires_at_ms
WHERE hookline_answers.expires_at_ms <= :now_ms
RETURNING 1;

-- name: find
SELECT fingerprint, answer FROM hookline_answers WHERE org_id = ? AND name = ?;

-- name: keep
UPDATE hookline_answers SET answer = :answer, size = :size, expires_at_ms = :expires_at_ms
WHERE org_id = :org_id AND name = :name AND owner = :owner AND answer IS NULL;

-- name: release
DELETE FROM hookline_answers WHERE org_id = ? AND name = ? AND owner = ? AND answer IS NULL;

-- Requests at work are left alone.
-- name: trim
DELETE FROM hookline_answers WHERE org_id = :org_id AND name IN (
    SELECT name FROM (
        SELECT name, row_number() OVER latest AS number, sum(size) OVER latest AS bytes
        FROM hookline_answers WHERE org_id = :org_id AND answer IS NOT NULL
        WINDOW latest AS (ORDER BY expires_at_ms DESC, name ROWS UNBOUNDED PRECEDING))
    WHERE number > :most OR bytes > :most_bytes);

-- name: prune
DELETE FROM hookline_answers WHERE (org_id, name) IN (
    SELECT org_id, name FROM hookline_answers WHERE expires_at_ms <= ? LIMIT ?);
