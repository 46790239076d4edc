"""Fixtures for all tests: the event loop, property-test profiles, PostgreSQL, and the rule that nothing is skipped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from support.postgres import PostgresServer, find_free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# Shared runners are slow at times, and a deadline would blame the code for it.
hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None, print_blob=True)
hypothesis.settings.register_profile("thorough", max_examples=5_000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(
    os.environ.get("HOOKLINE_HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run async tests on asyncio, the only loop family Hookline supports; HOOKLINE_TEST_UVLOOP=1 makes it uvloop."""
    return "asyncio", {"use_uvloop": os.environ.get("HOOKLINE_TEST_UVLOOP") == "1"}


@pytest.fixture
def free_port() -> int:
    """Give a TCP port on 127.0.0.1 that nobody listens on, for a server that must come back on the same one."""
    return find_free_port()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start this worker's PostgreSQL, tuned for speed. Do not stop it: a test that must makes its own."""
    with PostgresServer(fast=True) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template() -> str:
    """Name the database that `postgres_dsn` copies. It is empty; override this to start tests with a schema."""
    return "template0"


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Give a fresh database of this test's own."""
    name = postgres_server.create_database(template=postgres_template)
    yield postgres_server.dsn(name)
    postgres_server.drop_database(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail_skipped(report)
    return report


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure: a test that lacks a part proves nothing, and a green run would hide it."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: {reason}\nSkipping counts as failing here: install what is missing."
