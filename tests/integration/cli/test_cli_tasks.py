"""`hookline task`: what background tasks there are, how far they are, and calling them off."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hookline.cli.client import call_api
from integration.cli.test_cli_terminal import on_terminal

Ask = Callable[[], str]


class Site:
    """A server, and a way to ask it for a task."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.environ = {"HOOKLINE_URL": url, "HOOKLINE_TOKEN": token}

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return call_api(self.url, self.token, "POST", f"/api/v1{path}", json.dumps(body).encode())

    def ask(self) -> str:
        since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        task_id: str = self.post("/app/app/endpoint/ep/recover", since=since)["id"]
        return task_id


@pytest.fixture
def site(serve, hookline):
    """Give a server that does background tasks, or (`role`) one that leaves them to others."""

    def start(role: str = "all") -> Site:
        node = serve("--role", role, env={"HOOKLINE_LOG_FORMAT": "json"})
        site = Site(node.address, hookline("token").stdout.strip())
        site.post("/app", name="App", uid="app")
        site.post("/app/app/endpoint", url="https://receiver.example/hooks", uid="ep")
        return site

    return start


def test_list_show_and_watch_to_the_end(hookline, site):
    here = site()
    task_id = here.ask()
    done = hookline("task", "show", task_id, "--watch", env=here.environ)
    assert (done.returncode, done.stderr) == (0, "")
    shown = dict(line.split("\t") for line in done.stdout.splitlines())
    assert (shown["id"], shown["kind"], shown["state"]) == (task_id, "endpoint.recover", "finished")
    assert (shown["progress"], shown["changed"], shown["messages"]) == ("0/0", "0", "0")
    listed = hookline("task", "list", "--kind", "endpoint.recover", "--status", "finished", env=here.environ)
    assert listed.stdout.splitlines()[1].split("\t")[:3] == [task_id, "endpoint.recover", "finished"]
    assert json.loads(hookline("task", "list", "--status", "failed", "--json", env=here.environ).stdout) == []
    assert json.loads(hookline("task", "show", task_id, "--json", env=here.environ).stdout)["status"] == "finished"


def test_cancel_what_waits(hookline, site):
    here = site("api")
    task_id = here.ask()
    assert hookline("task", "list", env=here.environ).stdout.splitlines()[1].split("\t")[2] == "queued"
    done = hookline("task", "cancel", task_id, env=here.environ)
    assert (done.returncode, done.stdout.strip()) == (0, f"{task_id} canceled")
    again = hookline("task", "show", task_id, "--watch", env=here.environ)
    assert again.returncode == 1
    assert again.stderr == f"hookline: {task_id} canceled: canceled\n"


def test_a_terminal_sees_a_bar_until_the_end(clean_environ, site):
    here = site("api")
    task_id = here.ask()
    with on_terminal(clean_environ | here.environ, "task", "show", task_id, "--watch") as (terminal, process):
        terminal.read_until("endpoint.recover")
        here.post(f"/background-task/{task_id}/cancel")
        seen = terminal.read_to_end()
        assert process.wait(30) == 1
    assert "━" in seen
    assert f"{task_id} canceled: canceled" in seen


def test_what_cannot_be_asked(hookline, site):
    here = site()
    unknown = hookline("task", "show", "qtask_unknown", env=here.environ)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "404" in unknown.stderr
    nobody = hookline("task", "list", env={"HOOKLINE_URL": here.url})
    assert (nobody.returncode, "HOOKLINE_TOKEN" in nobody.stderr) == (1, True)
