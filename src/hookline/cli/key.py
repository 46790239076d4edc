"""`hookline key`: API keys. They are shown once, kept as hashes, and can be rotated and revoked."""

# ruff: noqa: PLC0415 -- imported when a command runs

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hookline.cli.database import Database, run_with_database
from hookline.cli.durations import read_duration
from hookline.cli.output import (
    DatabaseOption,
    JsonOption,
    format_time,
    print_json,
    print_note,
    print_table,
    print_text,
)

if TYPE_CHECKING:
    from hookline.model import ApiKey
    from hookline.services.keys import Keys, NewKey

app = typer.Typer(help="Create, list, rotate and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)

OrgOption = Annotated[str | None, typer.Option("--org", help="The organization; HOOKLINE_DEFAULT_ORG otherwise.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY_ID", help="The id of the key, from `hookline key list`.")]


@app.command("create")
def create_key(
    *,
    app: Annotated[str | None, typer.Option("--app", help="Only for this application (id or uid).")] = None,
    name: Annotated[str, typer.Option("--name", help="What the key is for.")] = "default",
    expires: Annotated[str | None, typer.Option("--expires", help="How long it lives, for example 90d.")] = None,
    org: OrgOption = None,
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """Make an API key and print it. It is not shown again."""
    lifetime_s = None if expires is None else read_duration(expires, "--expires")

    async def create(opened: Database) -> NewKey:
        expires_at_ms = None if lifetime_s is None else _now_ms() + round(lifetime_s * 1000)
        org_id = org or opened.settings.default_org
        return await _keys(opened).create(org_id, name=name, app=app, expires_at_ms=expires_at_ms)

    _print_new(run_with_database(database, create), json=json)


@app.command("list")
def list_keys(*, org: OrgOption = None, database: DatabaseOption = None, json: JsonOption = False) -> None:
    """List API keys: ids, names and states, never the keys themselves."""

    async def list_all(opened: Database) -> list[ApiKey]:
        return await _keys(opened).list_keys(org or opened.settings.default_org)

    keys = run_with_database(database, list_all)
    if json:
        print_json([_to_json(key) for key in keys])
        return
    print_table(
        ("id", "name", "key", "application", "created", "expires", "state"),
        [
            (
                key.id,
                key.name,
                f"hk_...{key.hint}",
                key.app_id or "",
                format_time(key.created_at_ms),
                format_time(key.expires_at_ms),
                _state(key),
            )
            for key in keys
        ],
    )


@app.command("rotate")
def rotate_key(
    key_id: KeyArgument,
    *,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old key goes on working.")] = "24h",
    org: OrgOption = None,
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """Make a new key in place of another, which goes on working for a while. The new one is not shown again."""
    overlap_s = read_duration(overlap, "--overlap")

    async def rotate(opened: Database) -> NewKey:
        return await _keys(opened).rotate(org or opened.settings.default_org, key_id, overlap_s)

    _print_new(run_with_database(database, rotate), json=json)


@app.command("revoke")
def revoke_key(
    key_id: KeyArgument, *, org: OrgOption = None, database: DatabaseOption = None, json: JsonOption = False
) -> None:
    """End a key. Every server refuses it within a few seconds."""

    async def revoke(opened: Database) -> ApiKey:
        return await _keys(opened).revoke(org or opened.settings.default_org, key_id)

    key = run_with_database(database, revoke)
    if json:
        print_json(_to_json(key))
    else:
        print_text(f"revoked {key.id}")


def _keys(opened: Database) -> Keys:
    from hookline.clock import SystemClock
    from hookline.services.keys import Keys

    return Keys(opened.store, SystemClock())


def _print_new(made: NewKey, *, json: bool) -> None:
    if json:
        print_json({**_to_json(made.key), "key": made.text})
        return
    print_text(made.text)
    print_note(f"This is {made.key.id}. Keep the key now: it is not shown again.")


def _to_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "orgId": key.org_id,
        "appId": key.app_id,
        "name": key.name,
        "hint": key.hint,
        "createdAt": format_time(key.created_at_ms),
        "expiresAt": format_time(key.expires_at_ms) or None,
        "revokedAt": format_time(key.revoked_at_ms) or None,
        "state": _state(key),
    }


def _state(key: ApiKey) -> str:
    if key.revoked_at_ms is not None:
        return "revoked"
    if key.expires_at_ms is not None and key.expires_at_ms <= _now_ms():
        return "expired"
    return "live"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
