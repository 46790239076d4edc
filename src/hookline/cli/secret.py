"""`hookline secret generate`: new random secrets, printed and kept nowhere."""

# ruff: noqa: PLC0415 -- cryptography is imported when it is needed

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Annotated

import typer

from hookline.cli.output import print_text

app = typer.Typer(help="Make secrets.", no_args_is_help=True, rich_markup_mode=None)


class SecretKind(StrEnum):
    ENCRYPTION_KEY = "encryption-key"
    JWT_SECRET = "jwt-secret"  # noqa: S105 -- the name of a kind
    WEBHOOK = "webhook"


@app.command("generate")
def generate_secret(
    kind: Annotated[
        SecretKind,
        typer.Argument(
            help="encryption-key for HOOKLINE_ENCRYPTION_KEY, jwt-secret for HOOKLINE_JWT_SECRET, "
            "webhook for a signing secret (whsec_...)."
        ),
    ],
) -> None:
    """Print a new random secret.

    HOOKLINE_ENCRYPTION_KEY=$(hookline secret generate encryption-key)
    """
    print_text(_generate(kind))


def _generate(kind: SecretKind) -> str:
    if kind is SecretKind.ENCRYPTION_KEY:
        from hookline.store.sealing import KeyRing

        return KeyRing.generate().to_text()
    if kind is SecretKind.WEBHOOK:
        from hookline.signatures import generate_symmetric

        return generate_symmetric(secrets.token_bytes(32)).to_text()
    return secrets.token_urlsafe(48)


@app.callback()
def _group() -> None:
    """Make secrets."""
