"""`hookline task`: background tasks of a running server: what there is, how far it is, and calling it off."""

# ruff: noqa: PLC0415 -- what speaks HTTP, and the progress bar, are imported when a command runs

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from hookline.cli.output import JsonOption, print_json, print_note, print_table, print_text
from hookline.errors import HooklineError

app = typer.Typer(help="List, watch and cancel background tasks.", no_args_is_help=True, rich_markup_mode=None)

LOOK_EVERY_S: Final = 0.5
MOST_LISTED: Final = 250  # what the API gives in one page

TaskArgument = Annotated[str, typer.Argument(metavar="TASK_ID", help="The id of the task, from `hookline task list`.")]
UrlOption = Annotated[str, typer.Option("--url", envvar="HOOKLINE_URL", help="Where the server is.")]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="HOOKLINE_TOKEN", help="A token or API key. Other users see command lines."),
]
LOCAL: Final = "http://127.0.0.1:8071"


class TaskEndedError(HooklineError):
    """The task that was watched came to no good end."""

    code = "task_ended"


@app.command("list")
def list_tasks(
    *,
    status: Annotated[str | None, typer.Option("--status", help="Only running, finished or failed ones.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only of this kind, for example endpoint.recover.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")] = 50,
    url: UrlOption = LOCAL,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """List tasks, newest first."""
    wanted = {"limit": str(limit), "status": status, "task": kind}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    tasks = _call(url, token, "GET", f"?{query}")["data"]
    if json:
        print_json(tasks)
        return
    print_table(
        ("id", "kind", "state", "progress", "changed", "updated", "reason"),
        [
            (
                str(task["id"]),
                str(task["task"]),
                str(task["state"]),
                _progress(task),
                str(task["progress"]["affected"]),
                str(task["updatedAt"]),
                str(task["data"].get("reason", "")),
            )
            for task in tasks
        ],
    )


@app.command("show")
def show_task(
    task_id: TaskArgument,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    url: UrlOption = LOCAL,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Show a task; with --watch, follow it to its end. Exit code 1 if it failed or was canceled."""

    def look() -> dict[str, Any]:
        return _call(url, token, "GET", _path(task_id))

    task = _follow(look) if watch else look()
    if json:
        print_json(task)
    else:
        _print(task)
    if watch and task["status"] != "finished":
        raise TaskEndedError(f"{task['id']} {task['state']}: {task['data'].get('reason', 'no reason was given')}")


@app.command("cancel")
def cancel_task(
    task_id: TaskArgument, *, url: UrlOption = LOCAL, token: TokenOption = None, json: JsonOption = False
) -> None:
    """Call a task off. It ends after the step that it is at; what it did until then stays."""
    task = _call(url, token, "POST", f"{_path(task_id)}/cancel")
    if json:
        print_json(task)
        return
    print_text(f"{task['id']} {task['state']}")
    if task["status"] == "running":
        print_note("It ends after the step that it is at.")


def _call(url: str, token: str | None, method: str, path: str) -> dict[str, Any]:
    from hookline.cli.client import call_api

    if not token:
        raise HooklineError("No token. Set HOOKLINE_TOKEN to one that `hookline token` or `hookline key create` gave.")
    return call_api(url, token, method, f"/api/v1/background-task{path}")


def _path(task_id: str) -> str:
    from hookline.cli.client import quote_segment

    return f"/{quote_segment(task_id)}"


def _follow(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask until the task has ended; a terminal sees a bar meanwhile, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        shown = bar.add_task("", total=None)
        while True:
            task = look()
            progress = task["progress"]
            bar.update(shown, description=str(task["task"]), completed=progress["done"], total=progress["total"])
            if task["status"] != "running":
                return task
            time.sleep(LOOK_EVERY_S)


def _progress(task: dict[str, Any]) -> str:
    done, total = task["progress"]["done"], task["progress"]["total"]
    return f"{done}" if total is None else f"{done}/{total}"


def _print(task: dict[str, Any]) -> None:
    lines = {
        "id": task["id"],
        "kind": task["task"],
        "application": task["appId"],
        "state": task["state"],
        "progress": _progress(task),
        "changed": task["progress"]["affected"],
        "created": task["createdAt"],
        "updated": task["updatedAt"],
        "finished": task["finishedAt"],
        **{name: value for name, value in task["data"].items() if not isinstance(value, list | dict)},
    }
    print_table(("what", "is"), [(name, str(value)) for name, value in lines.items() if value is not None])
    if any(isinstance(value, list | dict) for value in task["data"].values()):
        print_note("There is more in its data: --json shows it.")
