"""`hookline migrate`: bring the database's schema up to this version."""

# ruff: noqa: PLC0415 -- databases are imported when the command runs

from __future__ import annotations

from hookline.cli.database import read_settings
from hookline.cli.output import DatabaseOption, JsonOption, print_json, print_note, print_text


def migrate(*, database: DatabaseOption = None, json: JsonOption = False) -> None:
    """Bring the database's schema up to date. Safe to run at any time, by many at once."""
    import asyncio

    from hookline.server.secrets import prepare_secrets
    from hookline.store import create_store

    settings = read_settings(database_url=database)
    prepared = prepare_secrets(settings)
    for notice in prepared.notices:
        print_note(notice)
    store = create_store(settings.database_url.get_secret_value(), key_ring=prepared.key_ring)

    async def run() -> list[str]:
        try:
            return await store.migrate()
        finally:
            await store.close()

    applied = asyncio.run(run())
    if json:
        print_json({"applied": applied})
    elif applied:
        for name in applied:
            print_text(f"applied {name}")
    else:
        print_text("The schema is up to date.")
