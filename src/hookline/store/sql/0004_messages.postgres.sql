-- What senders may say of a message beside what it is: names to find it by, and when it is to go out.

-- tags: joined with ','. deliver_at_ms: all its deliveries wait in hookline_pending until then.
ALTER TABLE hookline_messages ADD COLUMN tags TEXT;
ALTER TABLE hookline_messages ADD COLUMN deliver_at_ms BIGINT;

-- What went wrong at an endpoint, for lists, counts and recovery. A success has no entry here, so it costs nothing.
CREATE INDEX hookline_attempts_trouble ON hookline_attempts (endpoint_id, status, id, final) WHERE status <> 0;

-- What is to be removed. Most of the time: nothing.
CREATE INDEX hookline_applications_deleted ON hookline_applications (deleted_at_ms) WHERE deleted_at_ms IS NOT NULL;
