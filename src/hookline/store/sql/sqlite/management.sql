-- Applications, endpoints and API keys. Every question names its organization.

-- name: next_routing_version
UPDATE hookline_meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = 'routing_clock'
RETURNING CAST(value AS INTEGER);

-- name: set_routing_version
UPDATE hookline_applications SET routing_version = ? WHERE id = ? AND org_id = ? AND deleted_at_ms IS NULL;

-- name: set_routing_version_of_any
UPDATE hookline_applications SET routing_version = ? WHERE id = ?;

-- name: insert_application
INSERT INTO hookline_applications
    (id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_application
SELECT id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version
FROM hookline_applications
WHERE org_id = ?1 AND (id = ?2 OR uid = ?2) AND deleted_at_ms IS NULL
ORDER BY id = ?2 DESC LIMIT 1;

-- The operations application is no customer.
-- name: list_applications
SELECT id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version
FROM hookline_applications
WHERE org_id = :org_id AND deleted_at_ms IS NULL AND operations = 0 AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT :limit;

-- name: update_application
UPDATE hookline_applications
SET uid = ?, name = ?, throttle_rate = ?, metadata = ?, updated_at_ms = ?, routing_version = ?
WHERE id = ? AND org_id = ? AND deleted_at_ms IS NULL AND updated_at_ms = coalesce(?, updated_at_ms)
RETURNING id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version;

-- name: delete_application
UPDATE hookline_applications SET deleted_at_ms = ?, uid = NULL, name = '', metadata = '{}', routing_version = ?
WHERE id = ? AND org_id = ? AND deleted_at_ms IS NULL;

-- name: delete_endpoints_of_application
-- What an endpoint was told in confidence goes at once; its row stays for as long as something names it.
UPDATE hookline_endpoints
SET deleted_at_ms = ?, uid = NULL, url = '', description = '', secrets = x'', headers = x'', extras = NULL,
    policy = NULL, options = '{}', metadata = '{}'
WHERE app_id = ? AND deleted_at_ms IS NULL;

-- name: insert_endpoint
INSERT INTO hookline_endpoints
    (id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
     secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras,
     keyed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_endpoint
SELECT id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
       secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras
FROM hookline_endpoints
WHERE org_id = ?1 AND app_id = ?2 AND (id = ?3 OR uid = ?3) AND deleted_at_ms IS NULL
ORDER BY id = ?3 DESC LIMIT 1;

-- name: list_endpoints
SELECT id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
       secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras
FROM hookline_endpoints
WHERE org_id = :org_id AND app_id = :app_id AND deleted_at_ms IS NULL AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT :limit;

-- name: list_live_endpoints
SELECT id, org_id, app_id, uid, url, description, version, dialect, status, status_reason, event_types, channels,
       secrets, headers, policy, options, ordered, throttle_rate, metadata, created_at_ms, updated_at_ms, extras
FROM hookline_endpoints WHERE app_id = ? AND deleted_at_ms IS NULL ORDER BY id;

-- name: find_routing
SELECT routing_version, throttle_rate FROM hookline_applications WHERE id = ? AND deleted_at_ms IS NULL;

-- name: list_routing_changes
SELECT id, routing_version FROM hookline_applications WHERE routing_version > ? ORDER BY routing_version LIMIT ?;

-- name: find_endpoint_status
SELECT status, updated_at_ms FROM hookline_endpoints WHERE id = ? AND org_id = ? AND app_id = ? AND deleted_at_ms IS NULL;

-- Everything but id, owner and created_at_ms; the owner is asked for again.
-- name: update_endpoint
UPDATE hookline_endpoints
SET uid = ?4, url = ?5, description = ?6, version = ?7, dialect = ?8, status = ?9, status_reason = ?10,
    event_types = ?11, channels = ?12, secrets = ?13, headers = ?14, policy = ?15, options = ?16, ordered = ?17,
    throttle_rate = ?18, metadata = ?19, updated_at_ms = ?21, extras = ?22, keyed = ?23
WHERE id = ?1 AND org_id = ?2 AND app_id = ?3 AND deleted_at_ms IS NULL
RETURNING created_at_ms;

-- name: delete_endpoint
UPDATE hookline_endpoints
SET deleted_at_ms = ?, uid = NULL, url = '', description = '', secrets = x'', headers = x'', extras = NULL,
    policy = NULL, options = '{}', metadata = '{}'
WHERE id = ? AND org_id = ? AND app_id = ? AND deleted_at_ms IS NULL;

-- name: count_endpoints
SELECT status, count(*) FROM hookline_endpoints WHERE deleted_at_ms IS NULL GROUP BY status;

-- name: insert_api_key
INSERT INTO hookline_api_keys (id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_api_key
SELECT id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms
FROM hookline_api_keys WHERE key_hash = ?;

-- name: list_api_keys
SELECT id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms
FROM hookline_api_keys WHERE org_id = ? ORDER BY id;

-- name: update_api_key
UPDATE hookline_api_keys SET name = ?, expires_at_ms = ?, revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ? AND org_id = ?
RETURNING id, org_id, app_id, name, key_hash, hint, created_at_ms, expires_at_ms, revoked_at_ms;
