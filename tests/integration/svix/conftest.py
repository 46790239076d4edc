"""The SDK's two clients at a server on each database. Neither knows of the other choice, so each meets one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from svix.api import ApplicationIn, Svix, SvixAsync

from integration.svix.driven import Driven, Inbox, drive
from support.server import Receiver, RunningServer, Tenant

Connect = Callable[[str], Driven]


@pytest.fixture
def connect(server: RunningServer) -> Iterator[Connect]:
    """Make clients for tokens: synchronous ones at SQLite, asynchronous ones at PostgreSQL."""
    kind = SvixAsync if server.runtime.settings.is_postgres else Svix
    with contextlib.ExitStack() as clients:
        yield lambda token: clients.enter_context(drive(kind, server.url, token))


@pytest.fixture
def svix(tenant: Tenant, connect: Connect) -> Driven:
    """Give a client of the whole organization."""
    return connect(tenant.token)


@pytest.fixture
def app_id(svix: Driven) -> str:
    return svix.application.create(ApplicationIn(name="Customer", uid="customer")).id


@pytest.fixture
def inbox(svix: Driven, receiver: Receiver) -> Inbox:
    return Inbox(svix, receiver)
