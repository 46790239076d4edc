-- The operations application of an organization, and what is told to it.

-- name: find_operations_application
SELECT id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version
FROM hookline_applications WHERE org_id = $1 AND operations AND deleted_at_ms IS NULL;

-- name: insert_operations_application
INSERT INTO hookline_applications
    (id, org_id, uid, name, throttle_rate, metadata, created_at_ms, updated_at_ms, routing_version, operations)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true)
ON CONFLICT (org_id) WHERE operations DO NOTHING;

-- name: find_listeners
-- Who hears of what happens in these applications: nobody, of the operations application itself.
SELECT a.id, o.org_id, o.id, a.uid
FROM hookline_applications a
JOIN hookline_applications o ON o.org_id = a.org_id AND o.operations AND o.deleted_at_ms IS NULL AND o.id <> a.id
WHERE a.id = ANY ($1::text[])
  AND EXISTS (SELECT 1 FROM hookline_endpoints e
              WHERE e.app_id = o.id AND e.deleted_at_ms IS NULL AND e.status <> 'disabled');

-- name: find_listener_of_organization
SELECT o.org_id, o.id
FROM hookline_applications o
WHERE o.org_id = $1 AND o.operations AND o.deleted_at_ms IS NULL
  AND EXISTS (SELECT 1 FROM hookline_endpoints e
              WHERE e.app_id = o.id AND e.deleted_at_ms IS NULL AND e.status <> 'disabled');

-- name: find_event_ids
SELECT m.id, m.event_id
FROM unnest($1::text[], $2::text[]) AS wanted (app_id, id)
JOIN hookline_messages m ON m.app_id = wanted.app_id AND m.id = wanted.id
WHERE m.event_id IS NOT NULL;

-- name: insert_outbox
-- A trigger wakes the Relay, also for no rows: only for those that there are.
INSERT INTO hookline_outbox (org_id, app, event_type, payload, event_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[]);
