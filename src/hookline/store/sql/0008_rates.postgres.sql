-- Until when the slots of a rate are taken (key: an endpoint's or an application's id), in nanoseconds of the database's
-- clock. Not logged: to lose it costs no more than a burst of a quarter of a second.
CREATE UNLOGGED TABLE hookline_rates (
    key            TEXT COLLATE "C" PRIMARY KEY,
    taken_until_ns BIGINT NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
