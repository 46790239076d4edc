"""`scripts/demo` as a newcomer runs it: from the checkout, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import find_free_port

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    ("standard", "invoice.paid", "standardwebhooks "),
    ("standard", "invoice.paid", "svix "),
    ("openai", "invoice.paid", "openai "),
    ("speech", "invoice.paid", "Python's hmac"),
    ("plain", "invoice.paid", "Python's hmac"),
    ("cloudevents", "invoice.paid", "cloudevents "),
    ("openai", "response.completed", "openai "),
    ("speech", "TranscriptionCompletion", "Python's hmac"),
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Surroundings that mean another server: the demo must not touch it. Its files come into `tmp_path`."""
    return os.environ | {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "HOOKLINE_PORT": "1",
        "TMPDIR": str(tmp_path),
        "HTTP_PROXY": "http://127.0.0.1:1",
        "COLUMNS": "80",
    }


def run_once(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "demo", "--once", "--port", str(find_free_port()), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def read_rows(output: str) -> list[list[str]]:
    """The cells of the table's rows; what is broken onto a second line is left out."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]
    return [cells for cells in lines if len(cells) == 8 and cells[1] in {row[1] for row in ROWS}]


def test_every_delivery_is_verified(environ, tmp_path):
    done = run_once(environ)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = read_rows(done.stdout)
    assert [(cells[0], cells[1]) for cells in rows] == [row[:2] for row in ROWS]
    for cells, (_, _, judge) in zip(rows, ROWS, strict=True):
        assert cells[2].startswith(judge)
        assert cells[4] == "204"
        assert 0 <= int(cells[5]) < 60_000
        assert cells[6:] == ["0", "verified"]
    assert "All 8 deliveries verified." in done.stdout
    assert list(tmp_path.glob("hookline-demo-*")) == []


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("standard", "WebhookVerificationError: No matching signature found"),
        ("openai", "InvalidWebhookSignatureError: The given webhook signature does not match"),
        ("speech", "NotGenuineError: x-microsoftspeechservices-signature is not the HMAC of the body"),
    ],
)
def test_one_unverified_delivery_is_a_failure(environ, broken, reason):
    done = run_once(environ, "--break-secret", broken)
    assert done.returncode == 1, done.stdout + done.stderr
    refused = [cells for cells in read_rows(done.stdout) if cells[-1] == "refused"]
    assert {cells[4] for cells in refused} == {"401"}
    assert {cells[0] for cells in refused} == {broken}
    assert reason in done.stdout


@pytest.fixture
def serving(environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start the demo without `--once`; the test ends it."""
    process = subprocess.Popen(
        [ROOT / "scripts" / "demo", "--port", str(find_free_port())],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=30)


def test_its_curl_lines_work_and_interrupting_ends_everything(serving, tmp_path):
    assert serving.stdout is not None
    lines: list[str] = []
    while "Ctrl-C stops" not in (line := serving.stdout.readline()):
        assert line, "".join(lines)
        lines.append(line.strip())
    commands = [line for line in lines if line.startswith(("export ", "curl "))]
    assert [command.split()[0] for command in commands] == ["export", "curl", "curl", "curl"]
    done = subprocess.run(
        ["bash", "-euc", "\n".join(commands).replace("curl ", "curl -fsS --noproxy '*' ")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"dialect":"openai"' in done.stdout
    assert '"payload":{"id": "in_1002"}' in done.stdout
    shown = []
    while len(shown) < 6:  # one event, six subscribers, each shown as it arrives
        line = serving.stdout.readline()
        assert line, shown
        if line.strip():
            shown.append(line)
    assert all(line.rstrip().endswith("verified") for line in shown)
    serving.send_signal(signal.SIGINT)
    assert serving.stdout.read().strip() == "stopping"
    assert serving.wait(timeout=30) == 0
    assert list(tmp_path.glob("hookline-demo-*")) == []
    assert subprocess.run(["bash", "-c", commands[1]], capture_output=True, check=False, timeout=30).returncode == 7


def test_a_port_that_is_taken_is_said(environ, free_port):
    import socket

    with socket.create_server(("127.0.0.1", free_port)):
        done = subprocess.run(
            [ROOT / "scripts" / "demo", "--once", "--port", str(free_port)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1, port {free_port}" in done.stdout
