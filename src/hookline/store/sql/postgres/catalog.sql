-- Organizations' settings and event types. Every question names its organization. Whoever changes something of a
-- catalog first takes the lock of its organization's row: changes of one catalog come one after the other.

-- name: find_organization
SELECT id, settings, catalog_version FROM hookline_organizations WHERE id = $1;

-- name: advance_catalog
INSERT INTO hookline_organizations AS o (id, settings, catalog_version) VALUES ($1, '{}', 1)
ON CONFLICT (id) DO UPDATE SET catalog_version = o.catalog_version + 1
RETURNING catalog_version;

-- name: set_settings
UPDATE hookline_organizations SET settings = $2 WHERE id = $1;

-- name: create_event_type
-- A name that is archived may be taken again: it keeps nothing but the time of its creation.
INSERT INTO hookline_event_types AS t
    (org_id, name, description, archived, deprecated, schemas, feature_flags, group_name, created_at_ms, updated_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (org_id, name) DO UPDATE
SET description = excluded.description, archived = excluded.archived, deprecated = excluded.deprecated,
    schemas = excluded.schemas, feature_flags = excluded.feature_flags, group_name = excluded.group_name,
    updated_at_ms = GREATEST(excluded.updated_at_ms, t.updated_at_ms + 1)
WHERE t.archived
RETURNING created_at_ms, updated_at_ms;

-- name: put_event_type
INSERT INTO hookline_event_types AS t
    (org_id, name, description, archived, deprecated, schemas, feature_flags, group_name, created_at_ms, updated_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (org_id, name) DO UPDATE
SET description = excluded.description, archived = excluded.archived, deprecated = excluded.deprecated,
    schemas = excluded.schemas, feature_flags = excluded.feature_flags, group_name = excluded.group_name,
    updated_at_ms = GREATEST(excluded.updated_at_ms, t.updated_at_ms + 1)
RETURNING created_at_ms, updated_at_ms;

-- name: find_event_type
SELECT org_id, name, description, archived, deprecated, schemas, feature_flags, group_name, created_at_ms, updated_at_ms
FROM hookline_event_types WHERE org_id = $1 AND name = $2;

-- name: list_event_types
SELECT name, org_id, description, archived, deprecated, CASE WHEN $7 THEN schemas END, feature_flags, group_name,
       created_at_ms, updated_at_ms
FROM hookline_event_types
WHERE org_id = $4 AND name > $1 AND name < $2
  AND ($5 OR NOT archived)
  AND ($6::text[] IS NULL OR feature_flags IS NULL OR string_to_array(feature_flags, ',') && $6::text[])
ORDER BY name /*direction*/ LIMIT $3;

-- name: list_live_types
SELECT name, CASE WHEN $2 THEN schemas END FROM hookline_event_types WHERE org_id = $1 AND NOT archived;

-- name: measure_event_types
SELECT count(*), coalesce(sum(octet_length(schemas)), 0)::bigint FROM hookline_event_types
WHERE org_id = $1 AND name <> ALL ($2::text[]);

-- name: archive_event_type
UPDATE hookline_event_types SET archived = true, updated_at_ms = GREATEST($3, updated_at_ms + 1)
WHERE org_id = $1 AND name = $2 RETURNING name;

-- name: archive_other_event_types
UPDATE hookline_event_types SET archived = true, updated_at_ms = GREATEST($3, updated_at_ms + 1)
WHERE org_id = $1 AND NOT archived AND name <> ALL ($2::text[])
RETURNING name;

-- name: expunge_event_type
DELETE FROM hookline_event_types WHERE org_id = $1 AND name = $2 RETURNING name;
