"""One server and one receiver for all tests of a worker; an organization for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.server import Receiver, RunningServer, Tenant, settings_for


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(settings_for(tmp_path_factory.mktemp("server"))) as running:
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
