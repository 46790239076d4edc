-- Tokens that end before their time.

-- name: revoke_token
INSERT INTO hookline_revoked_tokens (org_id, app_id, token_id, expires_at_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (app_id, token_id) DO NOTHING;

-- name: next_generation
INSERT INTO hookline_token_generations (app_id, org_id, generation) VALUES (?, ?, 1)
ON CONFLICT (app_id) DO UPDATE SET generation = generation + 1
RETURNING generation;

-- name: find_generation
SELECT generation FROM hookline_token_generations WHERE app_id = ? AND org_id = ?;

-- name: insert_ending
INSERT INTO hookline_token_endings (org_id, app_id, session_id, generation, ends_at_ms, forget_at_ms)
VALUES (?, ?, ?, ?, ?, ?);

-- Endings that a later one makes superfluous: it ends more tokens, and no later.
-- name: delete_superfluous
DELETE FROM hookline_token_endings AS e
WHERE e.app_id = :app_id AND EXISTS (
    SELECT 1 FROM hookline_token_endings l
    WHERE l.app_id = e.app_id AND l.session_id IN ('', e.session_id) AND l.generation > e.generation
      AND l.ends_at_ms <= max(e.ends_at_ms, :now_ms));

-- name: count_endings
SELECT count(*) FROM hookline_token_endings WHERE app_id = ?;

-- name: find_end
SELECT min(ends_at_ms) FROM (
    SELECT 0 AS ends_at_ms WHERE NOT EXISTS (
        SELECT 1 FROM hookline_applications WHERE id = :app_id AND org_id = :org_id AND deleted_at_ms IS NULL)
    UNION ALL
    SELECT 0 FROM hookline_revoked_tokens
    WHERE app_id = :app_id AND token_id = :token_id AND org_id = :org_id
    UNION ALL
    SELECT ends_at_ms FROM hookline_token_endings
    WHERE app_id = :app_id AND session_id IN ('', :session_id) AND generation > :generation AND org_id = :org_id);

-- name: prune_revoked
DELETE FROM hookline_revoked_tokens WHERE (app_id, token_id) IN (
    SELECT app_id, token_id FROM hookline_revoked_tokens WHERE expires_at_ms <= ? LIMIT ?);

-- name: prune_endings
DELETE FROM hookline_token_endings WHERE (app_id, session_id, generation) IN (
    SELECT app_id, session_id, generation FROM hookline_token_endings
    WHERE forget_at_ms IS NOT NULL AND forget_at_ms <= ? LIMIT ?);

-- name: delete_revoked_of_application
DELETE FROM hookline_revoked_tokens WHERE app_id = ?;

-- name: delete_endings_of_application
DELETE FROM hookline_token_endings WHERE app_id = ?;

-- name: delete_generation_of_application
DELETE FROM hookline_token_generations WHERE app_id = ?;
