"""One server and one receiver for all tests of a worker, on each database; an organization for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.postgres import PostgresServer
from support.server import POSTGRES_SECRETS, Receiver, RunningServer, Tenant, settings_for


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Give the server that most tests share."""
    changes = {}
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        changes = {"database_url": postgres.dsn(postgres.create_database()), **POSTGRES_SECRETS}
    with RunningServer(settings_for(tmp_path_factory.mktemp("server"), **changes)) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Iterator[Tenant]:
    tenant = Tenant(server)
    yield tenant
    tenant.close()


@pytest.fixture
def neighbour(server: RunningServer) -> Iterator[Tenant]:
    """Give an organization that has nothing to do with the other one."""
    tenant = Tenant(server)
    yield tenant
    tenant.close()
