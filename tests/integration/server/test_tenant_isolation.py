"""Nobody reads, changes or learns of what is another's: every operation, every kind of stranger, any mixture of names.

A request that names something of another's gets the very answer that a name gets which stands for nothing, and no row
of the other's is different afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hookline.server.access import ACCESS, Needs
from hookline.services import Capability, Grant
from support.holdings import Described, Holding, describe_operations, masked, unknown
from support.server import Receiver, RunningServer, Tenant

OPERATIONS = describe_operations()
NAMING = [operation for operation in OPERATIONS if operation.names]
OWN, SIBLING, FOREIGN = "own", "sibling", "foreign"


class World:
    """Two organizations: one with the applications `own` and `sibling`, one with `foreign`."""

    def __init__(self, server: RunningServer, receiver: Receiver) -> None:
        self.tenant, self.neighbour = Tenant(server), Tenant(server)
        self.holdings = {
            OWN: Holding(self.tenant, receiver, "ownmark"),
            SIBLING: Holding(self.tenant, receiver, "siblingmark"),
            FOREIGN: Holding(self.neighbour, receiver, "foreignmark"),
        }
        made = server.call(server.runtime.keys.create(self.tenant.org_id, name="k", app="ownmark-app"))
        self.clients = {"organization": self.tenant.http, "key": self.tenant.http_with(made.text)}
        self.before = self.photograph()

    def photograph(self) -> list[Any]:
        return [
            self.holdings[FOREIGN].photograph(organization=True),
            self.holdings[SIBLING].photograph(organization=False),
        ]

    def client(self, kind: str, grant: Grant) -> httpx2.Client:
        """A client of the own side. Tokens are new each time: some requests end them."""
        if kind != "token":
            return self.clients[kind]
        own = self.holdings[OWN]
        tokens = self.tenant.server.runtime.tokens
        return self.tenant.http_with(tokens.issue_for_application(self.tenant.org_id, own.app_id, grant=grant))

    def reaches(self, kind: str, owners: dict[str, str]) -> bool:
        """Whether all of this is the caller's: of its organization, and of one application if it names several things.

        Event types belong to the organization, whoever thought of them. To an organization its applications are alike,
        so it is only seen from one of them.
        """
        whose = {OWN if (name, owner) == ("event_type_name", SIBLING) else owner for name, owner in owners.items()}
        return whose == {OWN} or (kind == "organization" and (whose == {SIBLING} or owners.get("app_id") == SIBLING))

    def close(self) -> None:
        self.tenant.close()
        self.neighbour.close()


@pytest.fixture(scope="module")
def world(server: RunningServer) -> Iterator[World]:
    with Receiver() as receiver:
        world = World(server, receiver)
        yield world
        world.close()


def ask(
    world: World, kind: str, grant: Grant, operation: Described, owners: dict[str, str], chosen: dict[str, int]
) -> None:
    """Send a request that names what is another's, and its twin that names nothing; compare."""
    values = {}
    for name in operation.names:
        options = world.holdings[owners[name]].of(operation, name)
        values[name] = options[chosen.get(name, 0) % len(options)]
    twins = {name: unknown(value) if owners[name] != OWN else value for name, value in values.items()}
    client = world.client(kind, grant)
    answers = []
    for names in (values, twins):
        body = world.holdings[OWN].fitting(operation)
        answer = client.request(operation.method, operation.path.format(**names), json=body)
        text = answer.text
        for value in names.values():
            text = text.replace(value, "*")
        for holding in (world.holdings[FOREIGN], world.holdings[SIBLING]):
            if kind != "organization" or holding is world.holdings[FOREIGN]:
                assert holding.mark not in text, operation.id
        answers.append((answer.status_code, masked(text)))
        if operation.method == "put" and operation.path == "/event-type/{event_type_name}":
            world.tenant.http.delete(f"/event-type/{names['event_type_name']}?expunge=true")
    assert answers[0] == answers[1], operation.id
    status = answers[0][0]
    # PUT makes one of the caller's own where the name is free.
    assert status in {403, 404} or (operation.method, status) == ("put", 201), (operation.id, answers[0])


@pytest.mark.parametrize("kind", ["organization", "key", "token"])
def test_each_operation(world: World, kind: str) -> None:
    """All names of another's, and one of another's among one's own."""
    for operation in NAMING:
        for owner in (SIBLING, FOREIGN):
            whole = dict.fromkeys(operation.names, owner)
            mixed = [{**dict.fromkeys(operation.names, OWN), odd: owner} for odd in operation.names]
            for owners in (whole, *mixed):
                for number in (0, 1) if set(owners.values()) == {FOREIGN} else (0,):
                    if not world.reaches(kind, owners):
                        ask(world, kind, Grant(), operation, owners, dict.fromkeys(operation.names, number))
    assert world.photograph() == world.before


def test_any_mixture(world: World) -> None:
    @given(
        operation=st.sampled_from(NAMING),
        kind=st.sampled_from(["organization", "key", "token"]),
        capabilities=st.none() | st.frozensets(st.sampled_from(list(Capability))),
        read_only=st.booleans(),
        data=st.data(),
    )
    def mix(
        operation: Described,
        kind: str,
        capabilities: frozenset[Capability] | None,
        read_only: bool,
        data: st.DataObject,
    ) -> None:
        owners = {name: data.draw(st.sampled_from([FOREIGN, SIBLING, OWN]), name) for name in operation.names}
        assume(not world.reaches(kind, owners))
        chosen = {name: data.draw(st.integers(0, 1), f"which {name}") for name in operation.names}
        ask(world, kind, Grant(capabilities, read_only), operation, owners, chosen)

    mix()
    assert world.photograph() == world.before


@pytest.mark.parametrize("kind", ["organization", "key", "token"])
def test_names_of_anothers_in_bodies_and_queries(world: World, kind: str) -> None:
    """In one's own application, with ids of another's wherever a body or a query has ids."""
    own = world.holdings[OWN]
    checked = 0
    for operation in OPERATIONS:
        for other in (world.holdings[FOREIGN], world.holdings[SIBLING]):
            bodies = [other.owned(operation.body)] if operation.body is not None else [None]
            queries = [{"endpoint_id": name} for name in other.names["endpoint_id"]]
            queries = queries if "endpoint_id" in operation.query() else []
            if bodies == [operation.body] and not queries:
                continue
            path = operation.path.format(**{name: own.of(operation, name)[0] for name in operation.names})
            for query in queries or [{}]:
                answer = world.client(kind, Grant()).request(operation.method, path, json=bodies[0], params=query)
                if kind != "organization" or other is world.holdings[FOREIGN]:
                    assert other.mark not in answer.text, operation.id
                if queries:
                    assert answer.status_code == 404, operation.id
                checked += 1
    assert checked > 4
    assert world.photograph() == world.before


@pytest.mark.parametrize("kind", ["organization", "key", "token"])
def test_what_names_nothing_shows_nothing_of_anothers(world: World, kind: str) -> None:
    for operation in OPERATIONS:
        if operation.names or operation.method != "get":
            continue
        text = world.client(kind, Grant()).request(operation.method, operation.path).text
        assert "foreignmark" not in text, operation.id
        assert kind == "organization" or "siblingmark-app" not in text, operation.id
        for names in world.holdings[FOREIGN].names.values():
            assert not any(name in text for name in names), operation.id


def test_nobody_comes_in_without_a_credential(world: World) -> None:
    server = world.tenant.server
    with httpx2.Client(base_url=f"{server.url}/api/v1", verify=False) as stranger:  # one certificate store is enough
        for operation in OPERATIONS:
            own = {name: world.holdings[OWN].of(operation, name)[0] for name in operation.names}
            answer = stranger.request(operation.method, operation.path.format(**own), json=operation.body)
            is_open = ACCESS[operation.id] is Needs.NO_CREDENTIAL
            assert (answer.status_code == 401) is not is_open, operation.id
    assert world.photograph() == world.before
