"""What is different on a terminal: tables, colors, and a secret that is asked for and not shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hookline.signatures import StandardSigner, generate_symmetric

# A process that leads a session gets the first terminal that it opens as its own: then there is a /dev/tty to ask on.
PROGRAM = """
import os, sys
os.open(sys.argv.pop(1), os.O_RDWR)
from hookline.cli import main
sys.exit(main())
"""


class Terminal:
    """The person's side of a terminal that a command runs on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def read_until(self, text: str) -> None:
        while text not in self.seen:
            self.seen += os.read(self.descriptor, 65_536).decode()

    def read_to_end(self) -> str:
        while True:
            try:
                content = os.read(self.descriptor, 65_536)
            except OSError:  # Linux says so when the other side is closed
                return self.seen
            if not content:
                return self.seen
            self.seen += content.decode()


@contextmanager
def on_terminal(environ, *arguments) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    person, program = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, os.ttyname(program), *arguments],
        stdin=program,
        stdout=program,
        stderr=program,
        env=environ | {"TERM": "xterm", "COLUMNS": "200"},
        start_new_session=True,
    )
    os.close(program)
    try:
        yield Terminal(person), process
    finally:
        process.kill()
        process.wait()
        os.close(person)


def test_a_table_on_a_terminal(clean_environ):
    with on_terminal(clean_environ, "config", "show") as (terminal, process):
        shown = terminal.read_to_end()
        assert process.wait(30) == 0
    assert "\x1b[" in shown
    assert "\t" not in shown
    assert "HOOKLINE_RETRY_AFTER_CAP_S" in shown


def test_no_colors_when_unwanted(clean_environ):
    with on_terminal(clean_environ | {"NO_COLOR": "1"}, "config", "show") as (terminal, process):
        shown = terminal.read_to_end()
        assert process.wait(30) == 0
    assert "\x1b[3" not in shown  # colors; a bold head is none
    assert "HOOKLINE_RETRY_AFTER_CAP_S" in shown


@pytest.mark.parametrize("is_right", [True, False])
def test_a_pasted_request_and_a_secret_that_is_not_shown(clean_environ, is_right):
    key = generate_symmetric(bytes(range(32)))
    secret = (key if is_right else generate_symmetric(bytes(32))).to_text()
    now_s = int(time.time())
    signed = StandardSigner([key]).sign("msg_1", now_s, b"{}")
    with on_terminal(clean_environ, "verify") as (terminal, process):
        terminal.read_until("Ctrl-D")
        terminal.type(f"webhook-id: msg_1\nwebhook-timestamp: {now_s}\nwebhook-signature: {signed}\n\n{{}}\n\x04")
        terminal.read_until("Secret")
        terminal.type(secret + "\n")
        shown = terminal.read_to_end()
        assert process.wait(30) == (0 if is_right else 1)
    assert ("Valid. Message msg_1" in shown) is is_right
    assert secret not in shown
