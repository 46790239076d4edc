-- Applications, endpoints and API keys. Every question names its organization.

-- name: next_routing_version
UPDATE hookline_meta SET value = (value::bigint + 1)::text WHERE name = 'routing_clock' RETURNING value::bigint;

-- name: set_routing_version
UPDATE hookline_applications SET routing_version = $1 WHERE id = $2 AND org_id = $3 AND deleted_at_ms IS NULL
RETURNING 1;

-- name: insert_application
INSERT INTO hookline_applications
    (id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: find_application
SELECT id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version
FROM hookline_applications
WHERE org_id = $1 AND (id = $2 OR uid = $2) AND deleted_at_ms IS NULL
ORDER BY id = $2 DESC LIMIT 1;

-- name: list_applications
-- The operations application is no customer.
SELECT id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version
FROM hookline_applications
WHERE org_id = $4 AND deleted_at_ms IS NULL AND NOT operations AND id > $1 AND id < $2
ORDER BY id /*direction*/ LIMIT $3;

-- name: update_application
UPDATE hookline_applications
SET uid = $3, name = $4, throttle_rate = $5, metadata = $6, updated_at_ms = $7, routing_version = $8
WHERE id = $1 AND org_id = $2 AND deleted_at_ms IS NULL AND updated_at_ms = COALESCE($9::bigint, updated_at_ms)
RETURNING id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version;

-- name: delete_application
UPDATE hookline_applications SET deleted_at_ms = $3, uid = NULL, name = '', metadata = '{}', routing_version = $4
WHERE id = $1 AND org_id = $2 AND deleted_at_ms IS NULL
RETURNING 1;

-- name: delete_endpoints_of_application
WITH held AS MATERIALIZED (
    SELECT id FROM hookline_endpoints
    WHERE app_id = $1 AND org_id = $2 AND deleted_at_ms IS NULL ORDER BY id FOR UPDATE
)
-- What an endpoint was told in confidence goes at once; its row stays for as long as something names it.
UPDATE hookline_endpoints e
SET deleted_at_ms = $3, uid = NULL, url = '', description = '', secrets = '', headers = '', extras = NULL,
    policy = NULL, options = '{}', metadata = '{}'
FROM held WHERE e.id = held.id;

-- name: insert_endpoint
INSERT INTO hookline_endpoints
    (id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
     secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras,
     keyed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23);

-- name: find_endpoint
SELECT id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
       secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras
FROM hookline_endpoints
WHERE org_id = $1 AND app_id = $2 AND (id = $3 OR uid = $3) AND deleted_at_ms IS NULL
ORDER BY id = $3 DESC LIMIT 1;

-- name: list_endpoints
SELECT id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
       secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras
FROM hookline_endpoints
WHERE org_id = $4 AND app_id = $5 AND deleted_at_ms IS NULL AND id > $1 AND id < $2
ORDER BY id /*direction*/ LIMIT $3;

-- name: list_live_endpoints
SELECT id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
       secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras
FROM hookline_endpoints WHERE app_id = $1 AND deleted_at_ms IS NULL ORDER BY id;

-- name: find_routing
SELECT routing_version, throttle_rate FROM hookline_applications WHERE id = $1 AND deleted_at_ms IS NULL;

-- name: list_routing_changes
SELECT id, routing_version FROM hookline_applications WHERE routing_version > $1 ORDER BY routing_version LIMIT $2;

-- name: lock_endpoint
SELECT status, updated_at_ms FROM hookline_endpoints
WHERE id = $1 AND org_id = $2 AND app_id = $3 AND deleted_at_ms IS NULL FOR UPDATE;

-- name: update_endpoint
-- Everything but id, owner and created_at_ms.
UPDATE hookline_endpoints
SET uid = $4, url = $5, description = $6, version = $7, dialect = $8, status = $9, status_reason = $10,
    event_types = $11, channels = $12, secrets = $13, headers = $14, policy = $15, options = $16, ordered = $17,
    throttle_rate = $18, metadata = $19, updated_at_ms = $20, extras = $21, keyed = $22
WHERE id = $1 AND org_id = $2 AND app_id = $3 AND deleted_at_ms IS NULL
RETURNING created_at_ms;

-- name: delete_endpoint
WITH held AS MATERIALIZED (
    SELECT id, uid FROM hookline_endpoints
    WHERE id = $1 AND org_id = $2 AND app_id = $3 AND deleted_at_ms IS NULL FOR UPDATE
)
UPDATE hookline_endpoints e
SET deleted_at_ms = $4, uid = NULL, url = '', description = '', secrets = '', headers = '', extras = NULL,
    policy = NULL, options = '{}', metadata = '{}'
FROM held WHERE e.id = held.id
RETURNING held.id, held.uid;

-- name: close_lane
-- The lane must be locked: what waits in it is seen as of now.
UPDATE hookline_lanes l
SET state = 'closed', open_until_ms = 0, failures = 0, failing_since_ms = NULL,
    next_due_at_ms = CASE WHEN EXISTS (
        SELECT 1 FROM hookline_pending p WHERE p.endpoint_id = l.endpoint_id AND p.lease_node IS NULL) THEN $2::bigint END
WHERE endpoint_id = $1;

-- name: count_endpoints
SELECT status, count(*) FROM hookline_endpoints WHERE deleted_at_ms IS NULL GROUP BY status;

-- name: insert_api_key
INSERT INTO hookline_api_keys (id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: find_api_key
SELECT id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms
FROM hookline_api_keys WHERE key_hash = $1;

-- name: list_api_keys
SELECT id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms
FROM hookline_api_keys WHERE org_id = $1 ORDER BY id;

-- name: update_api_key
UPDATE hookline_api_keys SET name = $3, expires_at_ms = $4, revoked_at_ms = coalesce(revoked_at_ms, $5)
WHERE id = $1 AND org_id = $2
RETURNING id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms;
