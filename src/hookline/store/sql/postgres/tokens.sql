-- Tokens that end before their time.

-- name: revoke_token
INSERT INTO hookline_revoked_tokens (org_id, app_id, token_id, expires_at_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (app_id, token_id) DO NOTHING;

-- name: next_generation
-- Its row is locked from here on: one after the other expires tokens of an application.
INSERT INTO hookline_token_generations AS g (app_id, org_id, generation) VALUES ($1, $2, 1)
ON CONFLICT (app_id) DO UPDATE SET generation = g.generation + 1
RETURNING generation;

-- name: find_generation
SELECT generation FROM hookline_token_generations WHERE app_id = $1 AND org_id = $2;

-- name: insert_endings
INSERT INTO hookline_token_endings (org_id, app_id, session_id, generation, ends_at_ms, forget_at_ms)
SELECT $1, $2, session_id, $4, $5, $6 FROM unnest($3::text[]) AS s (session_id);

-- name: delete_superfluous
-- Endings that a later one makes superfluous: it ends more tokens, and no later.
DELETE FROM hookline_token_endings e
WHERE e.app_id = $1 AND EXISTS (
    SELECT 1 FROM hookline_token_endings l
    WHERE l.app_id = e.app_id AND l.session_id IN ('', e.session_id) AND l.generation > e.generation
      AND l.ends_at_ms <= GREATEST(e.ends_at_ms, $2::bigint));

-- name: count_endings
SELECT count(*) FROM hookline_token_endings WHERE app_id = $1;

-- name: find_end
SELECT min(ends_at_ms) FROM (
    SELECT 0::bigint AS ends_at_ms WHERE NOT EXISTS (
        SELECT 1 FROM hookline_applications WHERE id = $2 AND org_id = $1 AND deleted_at_ms IS NULL)
    UNION ALL
    SELECT 0::bigint FROM hookline_revoked_tokens
    WHERE app_id = $2 AND token_id = $3 AND org_id = $1
    UNION ALL
    SELECT ends_at_ms FROM hookline_token_endings
    WHERE app_id = $2 AND session_id IN ('', $4) AND generation > $5 AND org_id = $1
) AS ends;

-- name: prune_revoked
DELETE FROM hookline_revoked_tokens r
USING (
    SELECT app_id, token_id FROM hookline_revoked_tokens WHERE expires_at_ms <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
) AS old
WHERE (r.app_id, r.token_id) = (old.app_id, old.token_id)
RETURNING 1;

-- name: prune_endings
DELETE FROM hookline_token_endings r
USING (
    SELECT app_id, session_id, generation FROM hookline_token_endings
    WHERE forget_at_ms IS NOT NULL AND forget_at_ms <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
) AS old
WHERE (r.app_id, r.session_id, r.generation) = (old.app_id, old.session_id, old.generation)
RETURNING 1;

-- name: delete_revoked_of
DELETE FROM hookline_revoked_tokens WHERE app_id = ANY ($1::text[]);

-- name: delete_endings_of
DELETE FROM hookline_token_endings WHERE app_id = ANY ($1::text[]);

-- name: delete_generations_of
DELETE FROM hookline_token_generations WHERE app_id = ANY ($1::text[]);
