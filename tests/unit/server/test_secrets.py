"""The server's two secrets: given, or generated beside a SQLite file, never guessed on PostgreSQL."""

from __future__ import annotations

import stat

import pytest

from hookline.server.environment import SettingsError
from hookline.server.secrets import prepare_secrets
from hookline.server.settings import Settings
from hookline.store import KeyCheckError, KeyRing

SECRET = "hunter2-" * 6
RING = KeyRing.generate().to_text()


def test_sqlite_generates_a_token_secret_once(tmp_path):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/a.db")
    first = prepare_secrets(settings)
    assert first.key_ring is None  # the store makes and keeps that one
    assert [str(tmp_path / "a.db.key") in first.notices[0], str(tmp_path / "a.db.jwt") in first.notices[1]] == [
        True
    ] * 2
    assert len(first.jwt_secret) >= 32
    assert stat.S_IMODE((tmp_path / "a.db.jwt").stat().st_mode) == 0o600
    assert first.jwt_secret not in repr(first)
    (tmp_path / "a.db.key").touch()
    second = prepare_secrets(settings)
    assert second.jwt_secret == first.jwt_secret
    assert second.notices == ()


def test_given_secrets_leave_no_files(tmp_path):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/a.db", encryption_key=RING, jwt_secret=SECRET)
    prepared = prepare_secrets(settings)
    assert prepared.key_ring.to_text() == RING
    assert prepared.jwt_secret == SECRET
    assert prepared.notices == ()
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(database_url="sqlite:///:memory:")
    assert prepare_secrets(settings).jwt_secret != prepare_secrets(settings).jwt_secret
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "missing", "kind"),
    [
        ({}, "HOOKLINE_ENCRYPTION_KEY", "encryption-key"),
        ({"jwt_secret": SECRET}, "HOOKLINE_ENCRYPTION_KEY", "encryption-key"),
        ({"encryption_key": RING}, "HOOKLINE_JWT_SECRET", "jwt-secret"),
    ],
)
def test_postgres_refuses_without_its_secrets(given, missing, kind):
    settings = Settings(database_url="postgresql://u:p@h/d", **given)
    with pytest.raises(SettingsError, match=rf"{missing}, the same on every node.*secret generate {kind}"):
        prepare_secrets(settings)


def test_postgres_with_both():
    settings = Settings(database_url="postgresql://u:p@h/d", encryption_key=RING, jwt_secret=SECRET)
    prepared = prepare_secrets(settings)
    assert (prepared.key_ring.to_text(), prepared.jwt_secret) == (RING, SECRET)


@pytest.mark.parametrize("ring", ["hunter2", "k1:hunter2", "k1:!", "k1:" + "A" * 22 + "=="])
def test_an_unusable_key_is_refused_without_showing_it(tmp_path, ring):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/a.db", encryption_key=ring)
    with pytest.raises(SettingsError, match=r"HOOKLINE_ENCRYPTION_KEY: .*secret generate encryption-key") as caught:
        prepare_secrets(settings)
    assert "hunter2" not in caught.value.message


def test_a_directory_that_is_missing(tmp_path):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/nowhere/a.db")
    with pytest.raises(KeyCheckError, match="cannot write"):
        prepare_secrets(settings)
