-- Tokens of one application that were logged out, kept until they would have ended anyway.
CREATE TABLE hookline_revoked_tokens (
    org_id        TEXT COLLATE "C" NOT NULL,
    app_id        TEXT COLLATE "C" NOT NULL,
    token_id      TEXT COLLATE "C" NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, token_id)
);
CREATE INDEX hookline_revoked_tokens_expiry ON hookline_revoked_tokens (expires_at_ms);

-- How often tokens of an application were expired. New tokens bear the number; it never goes back.
CREATE TABLE hookline_token_generations (
    app_id     TEXT COLLATE "C" PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL
);

-- Tokens of this session ('' for all) that bear a number below `generation` end at `ends_at_ms`. forget_at_ms NULL: the
-- row stays for as long as its application.
CREATE TABLE hookline_token_endings (
    org_id       TEXT COLLATE "C" NOT NULL,
    app_id       TEXT COLLATE "C" NOT NULL,
    session_id   TEXT COLLATE "C" NOT NULL,
    generation   BIGINT NOT NULL,
    ends_at_ms   BIGINT NOT NULL,
    forget_at_ms BIGINT,
    PRIMARY KEY (app_id, session_id, generation)
);
CREATE INDEX hookline_token_endings_forget ON hookline_token_endings (forget_at_ms) WHERE forget_at_ms IS NOT NULL;

-- Answers to requests with an Idempotency-Key. answer NULL: the first such request, made by `owner`, is still at work,
-- until expires_at_ms at most. The answer is compressed and sealed; size is its length.
CREATE TABLE hookline_answers (
    org_id        TEXT COLLATE "C" NOT NULL,
    name          BYTEA NOT NULL,
    owner         BYTEA NOT NULL,
    fingerprint   BYTEA NOT NULL,
    answer        BYTEA,
    size          BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, name)
);
CREATE INDEX hookline_answers_expiry ON hookline_answers (expires_at_ms);
