"""`hookline send`: one message through the API of a running server."""

# ruff: noqa: PLC0415 -- what speaks HTTP is imported when the command runs

from __future__ import annotations

import json as json_codec
import sys
from pathlib import Path
from typing import Annotated

import typer

from hookline.cli.output import JsonOption, print_json, print_text
from hookline.errors import HooklineError


class PayloadError(HooklineError):
    """The payload on the command line is not usable."""

    code = "payload"


def send(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="The event type, for example invoice.paid.")],
    *,
    app: Annotated[str, typer.Option("--app", help="The application to send to: its id or uid.")],
    data: Annotated[
        str, typer.Option("--data", "-d", help="The payload: a JSON object, @FILE, or - for standard input.")
    ] = "{}",
    event_id: Annotated[
        str | None, typer.Option("--event-id", help="Your own id of the event: sending it twice delivers it once.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="Only for endpoints on this channel; repeat it for more.")
    ] = None,
    url: Annotated[
        str, typer.Option("--url", envvar="HOOKLINE_URL", help="Where the server is.")
    ] = "http://127.0.0.1:8071",
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="HOOKLINE_TOKEN", help="A token or API key. Other users see command lines."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send one message and print its id. The payload is sent byte for byte as given."""
    from hookline.cli.client import call_api, quote_segment

    if not token:
        raise HooklineError("No token. Set HOOKLINE_TOKEN to one that `hookline token` or `hookline key create` gave.")
    fields: dict[str, object] = {"eventType": event_type}
    if event_id is not None:
        fields["eventId"] = event_id
    if channel:
        fields["channels"] = channel
    # The payload's own text goes in as it is: numbers and blanks stay what they were.
    head = json_codec.dumps(fields, ensure_ascii=False)
    body = head[:-1].encode() + b',"payload":' + _read_payload(data) + b"}"
    answer = call_api(url, token, "POST", f"/api/v1/app/{quote_segment(app)}/msg", body)
    if json:
        print_json(answer)
    else:
        print_text(str(answer["id"]))


def _read_payload(data: str) -> bytes:
    if data == "-":
        content = sys.stdin.buffer.read()
    elif data.startswith("@"):
        try:
            content = Path(data[1:]).read_bytes()
        except OSError as error:
            raise PayloadError(f"Cannot read {data[1:]}: {error.strerror}. Name a file with a JSON object.") from error
    else:
        content = data.encode("utf-8", "surrogateescape")
    try:
        value = json_codec.loads(content)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"The payload is not JSON ({error}). Give an object such as '{{\"id\": 1}}'.") from error
    if not isinstance(value, dict):
        raise PayloadError("The payload must be a JSON object. Wrap the value: '{\"value\": ...}'.")
    return content.strip()
