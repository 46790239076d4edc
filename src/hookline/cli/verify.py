"""`hookline verify`: does a captured request carry a valid signature, and if not, why."""

# ruff: noqa: PLC0415 -- imported when the command runs

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli.output import JsonOption, print_json, print_note, print_text
from hookline.errors import HooklineError

if TYPE_CHECKING:
    from hookline.signatures import Diagnosis


class CaptureError(HooklineError):
    """The request or the secret could not be read."""

    code = "capture"


def verify_request(
    file: Annotated[
        str, typer.Argument(help="The request as it came in: headers, an empty line, the body. - is standard input.")
    ] = "-",
    *,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'Name: value'. With it, FILE is the body alone.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            envvar="HOOKLINE_WEBHOOK_SECRET",
            help="whsec_ or whpk_; repeat it for several. Asked for when absent. Other users see command lines.",
        ),
    ] = None,
    tolerance: Annotated[str, typer.Option("--tolerance", help="How old a request may be, for example 5m or 7d.")] = (
        "5m"
    ),
    json: JsonOption = False,
) -> None:
    """Verify a captured webhook and say what is wrong with it. Exit code 0 if it is valid, 1 if not."""
    from hookline.cli.capture import HeaderList, parse_capture, parse_header_lines
    from hookline.cli.durations import read_duration
    from hookline.signatures import explain

    tolerance_s = read_duration(tolerance, "--tolerance")
    content = _read_input(file)
    headers, body = (parse_header_lines(header), content) if header else parse_capture(content)
    keys = secret or [_ask_secret()]
    diagnosis = explain(HeaderList(headers), body, keys, now_s=time.time(), tolerance_s=tolerance_s)
    if json:
        print_json(_to_json(diagnosis))
    else:
        _print_findings(diagnosis)
    if diagnosis.verified is None:
        raise typer.Exit(1)


def _read_input(file: str) -> bytes:
    if file != "-":
        try:
            return Path(file).read_bytes()
        except OSError as error:
            raise CaptureError(f"Cannot read {file}: {error.strerror}. Name a file with headers and body.") from error
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read()
    print_note("Paste the headers, an empty line and the body; end with Ctrl-D on a line of its own.")
    # A terminal hands over whole lines: the last line break is the terminal's, not the body's.
    return sys.stdin.buffer.read().removesuffix(b"\n")


def _ask_secret() -> str:
    import getpass

    try:
        with Path("/dev/tty").open("rb"):
            pass
    except OSError:
        raise CaptureError("No secret. Set HOOKLINE_WEBHOOK_SECRET, or give --secret.") from None
    return getpass.getpass("Secret (whsec_... or whpk_...): ")


def _print_findings(diagnosis: Diagnosis) -> None:
    verified = diagnosis.verified
    if verified is not None:
        print_text(f"Valid. Message {verified.message_id}. {diagnosis.findings[0].message}")
        return
    print_text("Not valid:")
    for finding in diagnosis.findings:
        print_text(f"  {finding.code}: {finding.message}")


def _to_json(diagnosis: Diagnosis) -> dict[str, object]:
    verified = diagnosis.verified
    return {
        "valid": verified is not None,
        "messageId": None if verified is None else verified.message_id,
        "findings": [{"code": str(finding.code), "message": finding.message} for finding in diagnosis.findings],
    }
