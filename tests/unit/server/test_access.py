"""Who may do what: every operation has a line, and every set of capabilities means what it says."""

from __future__ import annotations

from itertools import combinations

import pytest

from hookline.server.access import ACCESS, Needs, check
from hookline.services import Capability, ForbiddenError, Principal
from support.operations import list_operations_of_all_surfaces

SUFFICES = {
    Capability.VIEW_BASE: {Capability.VIEW_BASE},
    Capability.VIEW_ENDPOINT_SECRET: {
        Capability.VIEW_ENDPOINT_SECRET,
        Capability.MANAGE_ENDPOINT_SECRET,
        Capability.MANAGE_ENDPOINT,
    },
    Capability.MANAGE_ENDPOINT_SECRET: {Capability.MANAGE_ENDPOINT_SECRET, Capability.MANAGE_ENDPOINT},
    Capability.MANAGE_TRANSFORMATIONS: {Capability.MANAGE_TRANSFORMATIONS, Capability.MANAGE_ENDPOINT},
    Capability.CREATE_ATTEMPTS: {Capability.CREATE_ATTEMPTS},
    Capability.MANAGE_ENDPOINT: {Capability.MANAGE_ENDPOINT},
}
LOOKING = {Capability.VIEW_BASE, Capability.VIEW_ENDPOINT_SECRET}
SETS = [frozenset(chosen) for size in range(7) for chosen in combinations(Capability, size)]


def is_let_in(principal: Principal, operation_id: str) -> bool:
    try:
        check(principal, operation_id)
    except ForbiddenError:
        return False
    return True


def test_every_operation_has_a_line() -> None:
    """If this names an operation of yours: give it a line in `hookline/server/access.py`."""
    assert {operation.id for operation in list_operations_of_all_surfaces()} == set(ACCESS)


def test_without_a_line_an_operation_is_closed() -> None:
    for principal in (Principal("org_1"), Principal("org_1", "app_1"), Principal("org_1", "app_1", may_send=False)):
        assert not is_let_in(principal, "v1.nobody.thought-of-it")
        assert not is_let_in(principal, "")


def test_only_what_is_open_to_all_asks_for_no_credential() -> None:
    for operation in list_operations_of_all_surfaces():
        assert operation.asks_who is (ACCESS[operation.id] is not Needs.NO_CREDENTIAL), operation.id


def test_what_changes_something_takes_more_than_looking() -> None:
    for operation in list_operations_of_all_surfaces():
        assert operation.method == "GET" or ACCESS[operation.id] not in LOOKING, operation.id


@pytest.mark.parametrize("operation_id", sorted(ACCESS))
def test_each_set_of_capabilities(operation_id: str) -> None:
    need = ACCESS[operation_id]
    for granted in SETS:
        for read_only in (False, True):
            principal = Principal("org_1", "app_1", may_send=False, capabilities=granted, read_only=read_only)
            if isinstance(need, Capability):
                expected = bool(granted & SUFFICES[need]) and not (read_only and need not in LOOKING)
            else:
                expected = need in {Needs.NO_CREDENTIAL, Needs.ANY_CREDENTIAL}
            assert is_let_in(principal, operation_id) is expected, (granted, read_only)


@pytest.mark.parametrize("operation_id", sorted(ACCESS))
def test_keys_and_organizations(operation_id: str) -> None:
    assert is_let_in(Principal("org_1"), operation_id)
    assert is_let_in(Principal("org_1", "app_1"), operation_id) is (ACCESS[operation_id] is not Needs.ORGANIZATION)
