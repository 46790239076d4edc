"""Anything that the description allows, and much that it does not: no fault of ours, every answer as described.

schemathesis makes the requests. `HOOKLINE_TEST_FUZZ_EXAMPLES` says how many for each operation; a few at your desk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.holdings import DESCRIPTION, Described, Holding, describe_operations
from support.server import PATIENCE_S, Receiver, RunningServer, Tenant

EXAMPLES = int(os.environ.get("HOOKLINE_TEST_FUZZ_EXAMPLES") or (20 if os.environ.get("CI") else 5))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
KINDS = [
    (operation, mode)
    for operation in describe_operations()
    for mode in (POSITIVE, NEGATIVE)
    if mode is POSITIVE or operation.content.get("parameters") or operation.body is not None
]


@pytest.fixture(scope="module")
def holding(server: RunningServer) -> Iterator[Holding]:
    with Receiver() as receiver:
        tenant = Tenant(server)
        yield Holding(tenant, receiver, "shared")
        tenant.close()


@pytest.mark.parametrize(("operation", "mode"), KINDS, ids=lambda part: getattr(part, "id", None) or part.value)
def test_any_request(holding: Holding, operation: Described, mode: Any) -> None:
    fuzzed = SCHEMA[f"/api/v1{operation.path}"][operation.method.upper()]
    names = {name: st.sampled_from(holding.of(operation, name)) for name in operation.names}

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), database=None
    )
    @given(
        case=fuzzed.as_strategy(generation_mode=mode),
        real=st.fixed_dictionaries(names),
        is_real=st.booleans(),
    )
    def ask(case: Any, real: dict[str, str], is_real: bool) -> None:
        if is_real and mode is POSITIVE and operation.method != "delete":
            case.path_parameters = real
        url = holding.tenant.server.url
        headers = {"authorization": f"Bearer {holding.tenant.token}"}
        case.call_and_validate(base_url=url, headers=headers, timeout=PATIENCE_S, checks=CHECKS)

    ask()
