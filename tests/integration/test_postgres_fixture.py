"""The PostgreSQL test part: what the store's, the crash and the benchmark's results rest on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from support.postgres import PostgresError, PostgresServer
from support.postgres_binaries import PostgresMissingError, find_binaries


async def test_database_is_fresh_and_usable(postgres_dsn):
    connection = await asyncpg.connect(postgres_dsn)
    try:
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        encoding = await connection.fetchval("SHOW server_encoding")
        await connection.execute("CREATE TABLE mine (n int)")
    finally:
        await connection.close()
    assert (tables, encoding) == (0, "UTF8")


def test_database_is_copied_from_its_template(postgres_server):
    template = postgres_server.create_database()
    postgres_server.execute("CREATE TABLE things AS SELECT 42 AS n", dbname=template)
    copy = postgres_server.create_database(template=template)
    try:
        assert postgres_server.execute("SELECT n FROM things", dbname=copy) == "42"
    finally:
        postgres_server.drop_database(copy)
        postgres_server.drop_database(template)


def test_dropping_cuts_open_connections(postgres_server):
    name = postgres_server.create_database()
    sleeper = subprocess.Popen(
        [str(postgres_server.binaries / "psql"), postgres_server.dsn(name), "--quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert sleeper.stdin is not None
    assert sleeper.stdout is not None
    sleeper.stdin.write(b"\\echo connected\n")
    sleeper.stdin.flush()
    assert sleeper.stdout.readline() == b"connected\n"
    postgres_server.drop_database(name)
    sleeper.communicate()
    assert postgres_server.execute(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == "0"


def test_failed_sql_says_why(postgres_server):
    with pytest.raises(PostgresError, match="division by zero"):
        postgres_server.execute("SELECT 1/0")


async def test_committed_data_survives_the_kill_of_the_postmaster():
    with PostgresServer() as server:
        assert server.execute("SHOW fsync") == "on"
        dsn = server.dsn(server.create_database())
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE ledger (n int)")
        await connection.executemany("INSERT INTO ledger VALUES ($1)", [(n,) for n in range(100)])
        uncommitted = connection.transaction()
        await uncommitted.start()
        await connection.execute("INSERT INTO ledger VALUES (1000)")
        server.kill()
        assert not server.is_running
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await connection.execute("SELECT 1")
        connection.terminate()

        server.start()
        reconnected = await asyncpg.connect(dsn)
        assert await reconnected.fetchval("SELECT count(*) FROM ledger") == 100
        await reconnected.close()
        assert "was not properly shut down" in server.read_log()


def test_restart_keeps_port_and_data_and_changes_settings():
    with PostgresServer(fast=True, settings={"work_mem": "5MB"}) as server:
        port = server.port
        assert server.execute("SHOW work_mem") == "5MB"
        server.execute("CREATE TABLE kept AS SELECT 7 AS n")
        server.restart(settings={"work_mem": "6MB"})
        assert server.port == port
        assert server.execute("SHOW work_mem") == "6MB"
        assert server.execute("SELECT n FROM kept") == "7"
        assert "was not properly shut down" not in server.read_log()


def test_bad_setting_fails_with_the_servers_own_words():
    server = PostgresServer(settings={"shared_buffers": "nonsense"})
    with pytest.raises(PostgresError, match="invalid value for parameter"), server:
        pass
    assert not server.is_running


def test_nothing_is_left_when_the_owner_is_killed():
    """The tests' own process may die with SIGKILL: server and directory must go all the same."""
    program = (
        "import sys\n"
        "from support.postgres import PostgresServer\n"
        "server = PostgresServer(fast=True)\n"
        "server.start()\n"
        "print(server._directory, flush=True)\n"
        "sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert owner.stdout is not None
    directory = Path(owner.stdout.readline().decode().strip())
    assert (directory / "data" / "postmaster.pid").exists()
    owner.send_signal(signal.SIGKILL)
    # The guardian has the owner's standard error, so reading that to its end awaits the guardian's.
    _, complaints = owner.communicate(timeout=60)
    assert complaints == b""
    assert not directory.exists()


def test_missing_programs_name_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("HOOKLINE_TEST_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(PostgresMissingError, match="unset it"):
        find_binaries()
