"""The two secrets of a server: what seals secrets at rest, and what signs tokens.

On PostgreSQL both must be given, since every node needs the same ones. On SQLite those that are not given are
generated once into files beside the database: `<database>.key` (by the store) and `<database>.jwt`.
"""

from __future__ import annotations

import secrets as randomness
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hookline.server.environment import FILE_SUFFIX, SettingsError, variable_of
from hookline.server.settings import Settings
from hookline.store import KeyCheckError, KeyRing
from hookline.store.factory import SQLITE_PREFIX
from hookline.store.sqlite.keyfile import load_or_create_secret

KEY_SUFFIX: Final = ".key"
TOKEN_SUFFIX: Final = ".jwt"  # noqa: S105 -- the end of a file name
_MEMORY: Final = ":memory:"


@dataclass(frozen=True, slots=True)
class PreparedSecrets:
    """`key_ring` is None where the store keeps its own key beside the file. `notices` are for the operator, once."""

    key_ring: KeyRing | None
    jwt_secret: str = field(repr=False)
    notices: tuple[str, ...] = ()


def prepare_secrets(settings: Settings) -> PreparedSecrets:
    """Read the secrets from the settings, or (SQLite) from beside the database, where new ones are made if need be.

    Raises:
        SettingsError: a secret that must be given is missing or cannot be used.
        KeyCheckError: a file beside the database can be neither read nor written.
    """
    key_ring = _read_key_ring(settings)
    jwt_secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()
    if settings.is_postgres:
        # Failure policy: closed. A node with a key of its own could not read what the others wrote.
        if key_ring is None:
            raise _missing("encryption_key", "encryption-key")
        if jwt_secret is None:
            raise _missing("jwt_secret", "jwt-secret")
        return PreparedSecrets(key_ring, jwt_secret)
    database = settings.database_url.get_secret_value().removeprefix(SQLITE_PREFIX)
    if database == _MEMORY:
        return PreparedSecrets(key_ring, jwt_secret or randomness.token_urlsafe(48))
    notices = []
    key_path = Path(database + KEY_SUFFIX)
    # An existing database without its key file is the store's to refuse: nothing new is made for it.
    if key_ring is None and not key_path.exists() and not Path(database).exists():
        notices.append(f"A new encryption key is kept in {key_path}. Back it up: without it, secrets cannot be read.")
    if jwt_secret is None:
        token_path = Path(database + TOKEN_SUFFIX)
        jwt_secret, is_new = load_or_create_secret(token_path)
        if is_new:
            notices.append(f"A new secret that signs tokens is kept in {token_path}. Without it, tokens end.")
    return PreparedSecrets(key_ring, jwt_secret, tuple(notices))


def _read_key_ring(settings: Settings) -> KeyRing | None:
    if settings.encryption_key is None:
        return None
    try:
        return KeyRing.from_text(settings.encryption_key.get_secret_value())
    except KeyCheckError as error:
        raise SettingsError(
            f"{variable_of('encryption_key')}: {error.message}. `hookline secret generate encryption-key` makes one."
        ) from error


def _missing(name: str, kind: str) -> SettingsError:
    variable = variable_of(name)
    return SettingsError(
        f"PostgreSQL needs {variable}, the same on every node. Set it to what `hookline secret generate {kind}` "
        f"prints, or {variable}{FILE_SUFFIX} to a file that holds it."
    )
