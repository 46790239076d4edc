"""`hookline migrate`, `hookline key` and `hookline token` on a database of their own, SQLite and PostgreSQL."""

from __future__ import annotations

import json
import sqlite3

import jwt
import pytest

from hookline.server.settings import DEFAULT_ORG

SECRETS = {
    "HOOKLINE_ENCRYPTION_KEY": "k1:" + "A" * 43 + "=",
    "HOOKLINE_JWT_SECRET": "hunter2-" * 6,
}


@pytest.fixture(params=["sqlite", "postgres"])
def env(request, tmp_path):
    """Give settings for a database that has its schema already."""
    if request.param == "sqlite":
        return SECRETS | {"HOOKLINE_DATABASE_URL": f"sqlite:///{tmp_path}/test.db"}
    return SECRETS | {"HOOKLINE_DATABASE_URL": request.getfixturevalue("postgres_dsn")}


@pytest.fixture
def migrated(env, hookline):
    assert hookline("migrate", env=env).returncode == 0
    return env


def test_migrate_applies_once(hookline, env):
    first = hookline("migrate", "--json", env=env)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["applied"]
    assert json.loads(hookline("migrate", "--json", env=env).stdout) == {"applied": []}
    assert hookline("migrate", env=env).stdout == "The schema is up to date.\n"


def test_the_life_of_a_key(hookline, migrated):
    created = hookline("key", "create", "--name", "billing", "--expires", "90d", env=migrated)
    assert created.returncode == 0, created.stderr
    text = created.stdout.strip()
    assert text.startswith("hk_")
    assert "not shown again" in created.stderr
    assert text not in created.stderr

    [key] = json.loads(hookline("key", "list", "--json", env=migrated).stdout)
    assert (key["name"], key["state"], key["orgId"], key["appId"]) == ("billing", "live", DEFAULT_ORG, None)
    assert key["hint"] == text[-4:]
    assert key["expiresAt"] > key["createdAt"]

    rotated = json.loads(hookline("key", "rotate", key["id"], "--overlap", "0", "--json", env=migrated).stdout)
    assert rotated["key"].startswith("hk_")
    assert rotated["key"] != text
    states = {
        entry["id"]: entry["state"] for entry in json.loads(hookline("key", "list", "--json", env=migrated).stdout)
    }
    assert states == {key["id"]: "expired", rotated["id"]: "live"}

    assert hookline("key", "revoke", rotated["id"], env=migrated).stdout == f"revoked {rotated['id']}\n"
    listed = hookline("key", "list", env=migrated)
    assert listed.stdout.splitlines()[0].split("\t")[0] == "id"
    assert "revoked" in listed.stdout
    assert text not in listed.stdout
    assert rotated["key"] not in listed.stdout


def test_keys_of_another_organization_are_not_seen(hookline, migrated):
    key = json.loads(hookline("key", "create", "--org", "org_a", "--json", env=migrated).stdout)
    assert json.loads(hookline("key", "list", "--json", env=migrated).stdout) == []
    assert len(json.loads(hookline("key", "list", "--org", "org_a", "--json", env=migrated).stdout)) == 1
    refused = hookline("key", "revoke", key["id"], env=migrated)
    assert refused.returncode == 1
    assert f"There is no key {key['id']}" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["key", "revoke", "key_x"], "There is no key key_x"),
        (["key", "rotate", "key_x"], "There is no key key_x"),
        (["key", "create", "--app", "acme"], "There is no application acme"),
        (["key", "create", "--org", "acme"], "begins with org_"),
        (["token", "--app", "acme"], "There is no application acme"),
        (["token", "--org", "acme"], "begins with org_"),
    ],
)
def test_refusals_are_one_line(hookline, migrated, arguments, words):
    done = hookline(*arguments, env=migrated)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_token_is_signed_with_the_servers_secret(hookline, migrated):
    token = hookline("token", "--expires", "1h", env=migrated).stdout.strip()
    claims = jwt.decode(token, SECRETS["HOOKLINE_JWT_SECRET"], algorithms=["HS256"])
    assert claims["sub"] == DEFAULT_ORG
    assert claims["exp"] - claims["iat"] == 3600
    answer = json.loads(hookline("token", "--org", "org_b", "--json", env=migrated).stdout)
    assert answer["orgId"] == "org_b"
    assert jwt.decode(answer["token"], SECRETS["HOOKLINE_JWT_SECRET"], algorithms=["HS256"])["sub"] == "org_b"


def test_a_new_sqlite_file_says_once_what_was_generated(hookline, tmp_path):
    first = hookline("token")
    assert first.returncode == 0, first.stderr
    assert "hookline.db.key" in first.stderr
    assert "hookline.db.jwt" in first.stderr
    second = hookline("token")
    assert second.stderr == ""
    names = {path.name for path in tmp_path.iterdir()}
    assert {"hookline.db", "hookline.db.key", "hookline.db.jwt"} <= names


def test_a_sqlite_file_without_its_key_is_refused(hookline, tmp_path):
    hookline("token")
    (tmp_path / "hookline.db.key").unlink()
    done = hookline("key", "list")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "key" in done.stderr
    assert not (tmp_path / "hookline.db.key").exists()


def test_postgres_without_its_secrets_is_refused(hookline, postgres_dsn):
    done = hookline("migrate", "--database", postgres_dsn)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "HOOKLINE_ENCRYPTION_KEY" in done.stderr
    assert "hookline secret generate encryption-key" in done.stderr


def test_postgres_with_another_key_is_refused(hookline, postgres_dsn):
    env = SECRETS | {"HOOKLINE_DATABASE_URL": postgres_dsn}
    assert hookline("migrate", env=env).returncode == 0
    assert hookline("token", env=env).returncode == 0
    done = hookline("token", env=env | {"HOOKLINE_ENCRYPTION_KEY": "k1:" + "B" * 43 + "="})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_a_postgres_schema_that_is_missing_is_refused_with_the_command(hookline, postgres_dsn):
    done = hookline("token", env=SECRETS | {"HOOKLINE_DATABASE_URL": postgres_dsn})
    assert done.returncode == 1
    assert "hookline migrate" in done.stderr


def test_a_database_that_does_not_answer(hookline, free_port):
    url = f"postgresql://u:hunter2@127.0.0.1:{free_port}/d"
    done = hookline("key", "list", env=SECRETS | {"HOOKLINE_DATABASE_URL": url})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_a_file_that_is_no_database(hookline, tmp_path):
    (tmp_path / "hookline.db").write_text("not a database, but a text that is long enough to be looked at" * 100)
    done = hookline("key", "list")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("hookline: ")
    assert "Traceback" not in done.stderr


def test_nothing_secret_is_in_the_file(hookline, tmp_path):
    text = hookline("key", "create").stdout.strip()
    connection = sqlite3.connect(tmp_path / "hookline.db")
    dump = "\n".join(connection.iterdump())
    connection.close()
    assert "default" in dump
    assert text not in dump
    assert text.removeprefix("hk_") not in dump
