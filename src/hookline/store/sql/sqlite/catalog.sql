-- Organizations' settings and event types. Every question names its organization.

-- name: find_organization
SELECT id, settings, catalog_version FROM hookline_organizations WHERE id = ?;

-- name: advance_catalog
INSERT INTO hookline_organizations (id, settings, catalog_version) VALUES (?, '{}', 1)
ON CONFLICT (id) DO UPDATE SET catalog_version = catalog_version + 1
RETURNING catalog_version;

-- name: set_settings
UPDATE hookline_organizations SET settings = ? WHERE id = ?;

-- name: create_event_type
-- A name that is archived may be taken again: it keeps nothing but the time of its creation.
INSERT INTO hookline_event_types
    (org_id, name, description, archived, deprecated, schemas, feature_flags, group_name, created_at_ms, updated_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (org_id, name) DO UPDATE
SET description = excluded.description, archived = excluded.archived, deprecated = excluded.deprecated,
    schemas = excluded.schemas, feature_flags = excluded.feature_flags, group_name = excluded.group_name,
    updated_at_ms = max(excluded.updated_at_ms, updated_at_ms + 1)
WHERE archived
RETURNING created_at_ms, updated_at_ms;

-- name: put_event_type
INSERT INTO hookline_event_types
    (org_id, name, description, archived, deprecated, schemas, feature_flags, group_name, created_at_ms, updated_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (org_id, name) DO UPDATE
SET description = excluded.description, archived = excluded.archived, deprecated = excluded.deprecated,
    schemas = excluded.schemas, feature_flags = excluded.feature_flags, group_name = excluded.group_name,
    updated_at_ms = max(excluded.updated_at_ms, updated_at_ms + 1)
RETURNING created_at_ms, updated_at_ms;

-- name: find_event_type
SELECT org_id, name, description, archived, deprecated, schemas, feature_flags, group_name, created_at_ms, updated_at_ms
FROM hookline_event_types WHERE org_id = ? AND name = ?;

-- name: list_event_types
SELECT name, org_id, description, archived, deprecated, CASE WHEN :with_schemas THEN schemas END, feature_flags,
       group_name, created_at_ms, updated_at_ms
FROM hookline_event_types
WHERE org_id = :org_id AND name > :low AND name < :high
  AND (:with_archived OR NOT archived)
  AND (:flags IS NULL OR feature_flags IS NULL OR EXISTS (
      SELECT 1 FROM json_each(:flags) AS flag WHERE instr(',' || feature_flags || ',', ',' || flag.value || ',') > 0))
ORDER BY name /*direction*/ LIMIT :limit;

-- name: list_live_types
SELECT name, CASE WHEN :with_schemas THEN schemas END
FROM hookline_event_types WHERE org_id = :org_id AND NOT archived;

-- name: measure_event_types
SELECT count(*), coalesce(sum(length(CAST(schemas AS BLOB))), 0) FROM hookline_event_types
WHERE org_id = ? AND name NOT IN (SELECT value FROM json_each(?));

-- name: archive_event_type
UPDATE hookline_event_types SET archived = 1, updated_at_ms = max(?, updated_at_ms + 1)
WHERE org_id = ? AND name = ? RETURNING name;

-- name: archive_other_event_types
UPDATE hookline_event_types SET archived = 1, updated_at_ms = max(:now_ms, updated_at_ms + 1)
WHERE org_id = :org_id AND NOT archived AND name NOT IN (SELECT value FROM json_each(:names))
RETURNING name;

-- name: expunge_event_type
DELETE FROM hookline_event_types WHERE org_id = ? AND name = ? RETURNING name;
