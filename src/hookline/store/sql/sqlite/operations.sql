-- The operations application of an organization, and what is told to it.

-- name: find_operations_application
SELECT id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version
FROM hookline_applications WHERE org_id = ? AND operations = 1 AND deleted_at_ms IS NULL;

-- name: insert_operations_application
INSERT INTO hookline_applications
    (id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version, operations)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (org_id) WHERE operations = 1 DO NOTHING;

-- Who hears of what happens in an application: nobody, when that is the operations application itself.
-- name: find_listener
SELECT o.org_id, o.id, a.uid
FROM hookline_applications a
JOIN hookline_applications o ON o.org_id = a.org_id AND o.operations = 1 AND o.deleted_at_ms IS NULL AND o.id <> a.id
WHERE a.id = ?
  AND EXISTS (SELECT 1 FROM hookline_endpoints e
              WHERE e.app_id = o.id AND e.deleted_at_ms IS NULL AND e.status <> 'disabled');

-- Who hears of what concerns the organization as a whole.
-- name: find_listener_of_organization
SELECT o.org_id, o.id, NULL
FROM hookline_applications o
WHERE o.org_id = ? AND o.operations = 1 AND o.deleted_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM hookline_endpoints e
              WHERE e.app_id = o.id AND e.deleted_at_ms IS NULL AND e.status <> 'disabled');

-- name: find_event_id
SELECT event_id FROM hookline_messages WHERE app_id = ? AND id = ?;

-- name: insert_outbox
INSERT INTO hookline_outbox (org_id, app, event_type, payload, event_id) VALUES (?, ?, ?, ?, ?);

-- name: find_endpoint_uid
SELECT uid FROM hookline_endpoints WHERE id = ? AND org_id = ? AND app_id = ? AND deleted_at_ms IS NULL;
