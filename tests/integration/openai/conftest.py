"""The official client in each of the ways in which its users set it up, at one server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from openai import AzureOpenAI, OpenAI

from support.server import RunningServer, Tenant

WAYS = ("openai/v1", "v1", "dashboard", "azure")


@pytest.fixture(params=WAYS)
def client(request: pytest.FixtureRequest, server: RunningServer, tenant: Tenant) -> Iterator[OpenAI]:
    """Give the client of an organization, by Bearer or `api-key`, at every address that it may call."""
    with contextlib.ExitStack() as clients:
        if request.param == "azure":
            made: OpenAI = AzureOpenAI(
                azure_endpoint=server.url, api_key=tenant.token, api_version="2025-04-01-preview"
            )
        else:
            path = "openai/v1/dashboard" if request.param == "dashboard" else request.param
            made = OpenAI(base_url=f"{server.url}/{path}", api_key=tenant.token)
        yield clients.enter_context(made)


@pytest.fixture
def openai(server: RunningServer, tenant: Tenant) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/openai/v1", api_key=tenant.token, max_retries=0) as made:
        yield made
