"""What the README and the API's page tell people to type is typed here, in an empty directory beside a `.venv`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from support.documents import ROOT, find_blocks, find_section, read_page
from support.postgres import find_free_port

# Fails on any answer but a success, and stays on this machine whatever proxy is set.
CURL = "curl() { command curl -fsS --noproxy '*' \"$@\"; echo; }\n"


class Desk:
    """A newcomer's working directory, with the ports of the documentation moved to free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")
        (folder / "examples").symlink_to(ROOT / "examples")
        self.ports = {"8071": str(find_free_port()), "8072": str(find_free_port())}
        self.url = f"http://127.0.0.1:{self.ports['8071']}"
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
        self.environ |= {"HOOKLINE_PORT": self.ports["8071"], "HOOKLINE_URL": self.url, "PYTHONUNBUFFERED": "1"}

    def move_ports(self, script: str) -> str:
        for documented, free in self.ports.items():
            script = script.replace(documented, free)
        return script

    def run(self, script: str, *, program: list[str] | None = None) -> str:
        """Run a script to its end; what it printed. Any failing command fails the test."""
        done = subprocess.run(
            [*(program or ["bash", "-euo", "pipefail", "-c"]), self.move_ports(script)],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def open_terminal(self, script: str, is_up: Callable[[], bool]) -> Iterator[subprocess.Popen[str]]:
        """Run a script in the background, until it is up."""
        process = subprocess.Popen(
            ["bash", "-c", self.move_ports(script)],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            while not is_up():
                if process.poll() is not None:
                    pytest.fail(f"{script}\nended with {process.returncode}:\n{process.communicate()[0]}")
                time.sleep(0.05)  # it says when it is up by being up
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            if process.stdout is not None and not process.stdout.closed:
                process.communicate(timeout=40)

    def answers(self, port: str, path: str) -> bool:
        """Whether a server answers on a port of the documentation."""
        try:
            response = httpx2.get(f"http://127.0.0.1:{self.ports[port]}{path}", trust_env=False)
        except httpx2.TransportError:
            return False
        return response.status_code in {200, 404, 405}

    @contextmanager
    def serve(self, script: str = "HOOKLINE_EGRESS_ALLOW=127.0.0.0/8 .venv/bin/hookline serve") -> Iterator[None]:
        with self.open_terminal(script, lambda: self.answers("8071", "/readyz")):
            yield


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_first_screen_is_short():
    """Three sentences, the commands, a picture and an example fit on a screen."""
    first_screen = read_page("README.md").partition("\n## ")[0]
    assert len(first_screen.splitlines()) <= 40
    (commands,) = find_blocks(first_screen, "sh")
    assert len(commands.splitlines()) == 2
    (publish,) = find_blocks(first_screen, "python")
    assert len([line for line in publish.splitlines() if line]) == 5
    assert "](docs/flow.svg)" in first_screen


def test_commands_of_the_first_screen_exist(desk):
    (commands,) = find_blocks(read_page("README.md").partition("\n## ")[0], "sh")
    demo, serve = (line.split("#")[0].split() for line in commands.splitlines())
    assert os.access(ROOT / demo[0], os.X_OK)
    desk.run(f"{' '.join(serve)} --help")


def test_publish_example(desk):
    (publish,) = find_blocks(read_page("README.md"), "python")
    with desk.serve():
        desk.environ["HOOKLINE_TOKEN"] = desk.run(".venv/bin/hookline token").strip()
        desk.run(publish, program=[sys.executable, "-c"])
        listed = desk.run(
            CURL + 'curl http://127.0.0.1:8071/api/v1/app/acme/msg -H "authorization: Bearer $HOOKLINE_TOKEN"'
        )
    assert '"eventType":"invoice.paid"' in listed
    assert '"payload":{"id":"in_1001"}' in listed


def test_three_terminals(desk):
    server, receiver, commands = find_blocks(find_section(read_page("README.md"), "From nothing to a delivery"), "sh")
    with (
        desk.serve(server),
        desk.open_terminal(receiver, lambda: desk.answers("8072", "/")) as terminal,
    ):
        message_id = desk.run(CURL + commands).splitlines()[-1]
        assert message_id.startswith("msg_")
        assert terminal.stdout is not None
        assert terminal.stdout.readline() == f"verified {message_id}: {{'id': 'in_1001'}}\n"


def test_api_page(desk):
    """All blocks of the API's page, one after the other as one session."""
    script = "".join(find_blocks(read_page("docs/api.md"), "sh"))
    with desk.serve():
        desk.environ["HOOKLINE_TOKEN"] = desk.run(".venv/bin/hookline token").strip()
        shown = desk.run(CURL + script)
    assert '"dialect":"openai"' in shown
