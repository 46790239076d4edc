"""`hookline alert`: whether people can be told."""

# ruff: noqa: PLC0415 -- settings and services are imported when a command runs

from __future__ import annotations

from typing import Annotated

import typer

from hookline.cli.output import JsonOption, print_json, print_text

app = typer.Typer(help="Alerts: whether people can be told.", no_args_is_help=True, rich_markup_mode=None)


@app.command("test")
def send_test(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A notifier of HOOKLINE_NOTIFIERS.")],
    *,
    json: JsonOption = False,
) -> None:
    """Send a test notification.

    It goes out as the server's would, from here: run it where the server runs.
    """
    import asyncio

    from hookline.cli.database import read_settings
    from hookline.services.notifier import AppriseNotifier, Notification

    notifier = AppriseNotifier(read_settings().notifier_addresses)
    notification = Notification("Hookline: a test", "If you read this, alerts reach you.", good=True)
    asyncio.run(notifier.send(name, notification))
    if json:
        print_json({"notifier": name, "sent": True})
    else:
        print_text(f"Sent by {name}.")
