"""The program itself: help, usage errors, versions, missing packages, speed of start-up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hookline import __version__

COMMANDS = [
    "serve",
    "migrate",
    "token",
    "key",
    "send",
    "verify",
    "task",
    "import",
    "catalog",
    "alert",
    "config",
    "secret",
    "openapi",
    "version",
]


def test_help_lists_every_command(hookline):
    done = hookline("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    listed = [line.split()[0] for line in done.stdout.partition("Commands:\n")[2].splitlines()]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        "import svix",
        "key create",
        "key rotate",
        "config show",
        "catalog install",
        "secret generate",
        "task list",
        "task show",
    ],
)
def test_every_command_has_help(hookline, command):
    done = hookline(*command.split(), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: hookline {command}")


@pytest.mark.parametrize("command", ["", "import", "catalog", "key", "task", "config", "secret"])
def test_no_arguments_show_the_help(hookline, command):
    done = hookline(*command.split())
    assert done.returncode == 2
    assert done.stdout.startswith("Usage: hookline")
    assert "Commands:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sned"], "No such command 'sned'"),
        (["send", "invoice.paid"], "Missing option '--app'"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--role", "boss"], "'boss'"),
        (["key", "create", "--expires", "soon"], "'soon' is no length of time"),
        (["secret", "generate", "love"], "'love'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(hookline, arguments, words):
    done = hookline(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "--help" in done.stderr


def test_version(hookline):
    assert hookline("version").stdout.startswith(f"hookline {__version__} ")
    assert json.loads(hookline("version", "--json").stdout)["hookline"] == __version__


def test_the_installed_program_is_the_same(clean_environ):
    program = Path(sys.executable).with_name("hookline")
    done = subprocess.run(
        [program, "version", "--json"], env=clean_environ, capture_output=True, check=True, timeout=60
    )
    assert json.loads(done.stdout)["hookline"] == __version__


def test_help_loads_no_server(clean_environ):
    """What makes a start slow stays out: the help needs neither settings nor a database nor a web framework."""
    code = """
import sys
from hookline.cli import main
main(["--help"])
heavy = {"pydantic", "fastapi", "uvicorn", "structlog", "asyncpg", "cryptography", "msgspec", "rich", "asyncio"}
sys.exit(str(sorted(heavy & set(sys.modules)) or ""))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.strip() == ""
    assert done.stdout.startswith("Usage: hookline")


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("typer", "server", ["--help"]),
        ("pydantic", "server", ["config", "show"]),
        ("asyncpg", "postgres", ["migrate", "--database", "postgresql://u@127.0.0.1:9/d"]),
    ],
)
def test_a_missing_package_is_explained_in_one_line(clean_environ, tmp_path, package, extra, arguments):
    code = f"""
import sys
sys.modules[{package!r}] = None  # an import of it fails as if it were not installed
from hookline.cli import main
sys.exit(main({arguments!r}))
"""
    env = clean_environ | {
        "HOOKLINE_ENCRYPTION_KEY": "k1:" + "A" * 43 + "=",
        "HOOKLINE_JWT_SECRET": "s" * 48,
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"hookline[{extra}]" in done.stderr
