-- What few endpoints want (filter, order key, transform, credentials, authorities), sealed as one; NULL: nothing.
ALTER TABLE hookline_endpoints ADD COLUMN extras BLOB;
