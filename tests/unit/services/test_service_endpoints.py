"""Endpoints: secrets for each dialect, rotation, policies, states."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from hookline.clock import ManualClock
from hookline.dialects import DIALECTS
from hookline.egress import EgressPolicy
from hookline.model import Application, Endpoint, EndpointStatus, RetryPolicy
from hookline.services import (
    ChecksCache,
    ConflictError,
    EndpointForm,
    Endpoints,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    PolicyForm,
    Principal,
)
from hookline.services.endpoints import MAX_OF_CUSTOMERS
from hookline.services.secrets import public_form
from hookline.signatures import SigningKey, SymmetricKey, generate_ed25519, parse_key
from hookline.store import AppScope, Commit, Disable, Store
from hookline.store import ConflictError as StoreConflictError

SCOPE = AppScope("org_1", "app_1")
FORM = EndpointForm("https://example.com/hook")


def counter() -> Callable[[int], bytes]:
    state = {"calls": 0}

    def read(size: int) -> bytes:
        state["calls"] += 1
        return bytes([state["calls"]]) * size

    return read


@pytest.fixture
async def endpoints(store: Store, clock: ManualClock) -> Endpoints:
    now_ms = clock.now_ms()
    await store.create_application(Application("app_1", "org_1", None, "App", None, {}, now_ms, now_ms))
    return Endpoints(
        store, EgressPolicy(), ChecksCache(store), clock, default_schedule_s=(7.0, 8.0), random_bytes=counter()
    )


def said(**changes: Any) -> EndpointForm:
    return msgspec.structs.replace(FORM, **changes)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_every_dialect_gets_a_secret_that_it_can_use(endpoints: Endpoints, dialect: str) -> None:
    endpoint = await endpoints.create(SCOPE, said(dialect=dialect))
    key = endpoint.secrets[0].key
    if dialect in {"speech", "plain"}:
        assert base64.urlsafe_b64decode(key + "=") == b"\x01" * 32
    else:
        assert parse_key(key) == SymmetricKey(b"\x01" * 32)
    assert await endpoints.get(SCOPE, endpoint.id) == endpoint


async def test_given_secrets(endpoints: Endpoints) -> None:
    bare = base64.b64encode(b"s" * 24).decode()
    assert (await endpoints.create(SCOPE, said(secret=bare))).secrets[0].key == f"whsec_{bare}"
    private = generate_ed25519(b"e" * 32)
    endpoint = await endpoints.create(SCOPE, said(secret=private.to_text()))
    assert isinstance(parse_key(endpoint.secrets[0].key), SigningKey)
    assert public_form(endpoint.secrets[0].key) == private.verifying_key.to_text()
    text = await endpoints.create(SCOPE, said(dialect="speech", secret="my secret"))
    assert public_form(text.secrets[0].key) == text.secrets[0].key == "my secret"
    assert (await endpoints.create(SCOPE, said(dialect="plain", secret=""))).secrets == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": base64.b64encode(b"s" * 23).decode()},
        {"secret": base64.b64encode(b"s" * 76).decode()},
        {"secret": ""},
        {"secret": "whpk_" + base64.b64encode(b"s" * 32).decode()},
        {"secret": "whsec_not base64"},
        {"dialect": "speech", "secret": "x" * 513},
        {"dialect": "openai", "secret": generate_ed25519(b"e" * 32).to_text()},
    ],
)
async def test_secrets_that_cannot_sign(endpoints: Endpoints, changes: dict[str, str]) -> None:
    with pytest.raises(InvalidError) as error:
        await endpoints.create(SCOPE, said(**changes))
    assert changes["secret"] == "" or changes["secret"] not in str(error.value)


async def test_rotation(endpoints: Endpoints, clock: ManualClock) -> None:
    endpoint = await endpoints.create(SCOPE, said())
    first = endpoint.secrets[0]
    rotated = await endpoints.rotate_secret(SCOPE, endpoint.id, grace_s=100)
    assert rotated.secrets[0].expires_at_ms is None
    assert (rotated.secrets[1].key, rotated.secrets[1].expires_at_ms) == (first.key, clock.now_ms() + 100_000)
    clock.advance(101)
    again = await endpoints.rotate_secret(SCOPE, endpoint.id)
    assert [secret.key for secret in again.secrets] == [again.secrets[0].key, rotated.secrets[0].key]
    assert again.secrets[1].expires_at_ms == clock.now_ms() + 86_400_000
    at_once = await endpoints.rotate_secret(SCOPE, endpoint.id, grace_s=0)
    assert rotated.secrets[0].key in {secret.key for secret in at_once.secrets}
    assert again.secrets[0].key not in {secret.key for secret in at_once.secrets}


async def test_rotation_has_bounds(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(SCOPE, said())
    for grace_s in (-1, 604_801):
        with pytest.raises(InvalidError):
            await endpoints.rotate_secret(SCOPE, endpoint.id, grace_s=grace_s)
    for _ in range(10):
        await endpoints.rotate_secret(SCOPE, endpoint.id)
    with pytest.raises(LimitReachedError):
        await endpoints.rotate_secret(SCOPE, endpoint.id)
    with pytest.raises(InvalidError):
        await endpoints.rotate_secret(SCOPE, endpoint.id, key="nonsense")


async def test_policies_fill_up_from_what_holds_otherwise(endpoints: Endpoints) -> None:
    async def policy(dialect: str, wishes: PolicyForm | None) -> RetryPolicy | None:
        return (await endpoints.create(SCOPE, said(dialect=dialect, policy=wishes))).policy

    assert await policy("standard", None) is None
    some = await policy("standard", PolicyForm(timeout_s=3))
    assert some == msgspec.structs.replace(DIALECTS["standard"].default_policy, schedule_s=(7.0, 8.0), timeout_s=3.0)
    plain = await policy("plain", PolicyForm(jitter=0.5))
    assert plain == msgspec.structs.replace(DIALECTS["plain"].default_policy, jitter=0.5)
    none = await policy("standard", PolicyForm(schedule_s=()))
    assert none is not None
    assert none.attempts == 1


@pytest.mark.parametrize(
    "wishes",
    [
        {"timeout_s": float("nan")},
        {"timeout_s": 121.0},
        {"timeout_s": -1.0},
        {"jitter": -0.1},
        {"jitter": float("inf")},
        {"schedule_s": (float("nan"),)},
        {"schedule_s": (604_801.0,)},
        {"retry_after_cap_s": -1.0},
    ],
)
async def test_policies_have_bounds(endpoints: Endpoints, wishes: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as error:
        await endpoints.create(SCOPE, said(policy=PolicyForm(**wishes)))
    assert error.value.problems[0].field[:2] == ("policy", next(iter(wishes)))


async def test_states_and_their_reasons(endpoints: Endpoints, store: Store) -> None:
    endpoint = await endpoints.create(SCOPE, said())
    assert (endpoint.status, endpoint.status_reason) == (EndpointStatus.ENABLED, None)
    disabled = await endpoints.update(SCOPE, endpoint.id, lambda _: said(disabled=True))
    assert (disabled.status, disabled.status_reason) == (EndpointStatus.DISABLED, "requested")
    gone = msgspec.structs.replace(disabled, status_reason="gone")
    await store.update_endpoint(gone)
    still = await endpoints.update(
        SCOPE, gone.id, lambda now: msgspec.structs.replace(EndpointForm.of(now), description="new")
    )
    assert (still.status, still.status_reason, still.description) == (EndpointStatus.DISABLED, "gone", "new")
    paused = await endpoints.update(SCOPE, still.id, lambda _: said(paused=True))
    assert (paused.status, paused.status_reason) == (EndpointStatus.PAUSED, "requested")
    enabled = await endpoints.update(SCOPE, paused.id, lambda _: said())
    assert (enabled.status, enabled.status_reason) == (EndpointStatus.ENABLED, None)


async def test_an_update_from_its_own_form_changes_nothing(endpoints: Endpoints) -> None:
    full = said(
        description="d",
        uid="u",
        version=3,
        event_types=("a.b", "c.*"),
        channels=("x",),
        throttle_rate=5,
        metadata={"k": "v"},
        headers={"X-A": "1"},
        dialect="cloudevents",
        options={"mode": "structured"},
        policy=PolicyForm(timeout_s=2),
        ordered=True,
        paused=True,
    )
    endpoint = await endpoints.create(SCOPE, full)
    updated = await endpoints.update(SCOPE, "u", EndpointForm.of)
    assert updated == msgspec.structs.replace(endpoint, updated_at_ms=endpoint.updated_at_ms + 1)


async def test_changes_at_once_are_all_kept(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(SCOPE, said(metadata={"all": "0"}))

    def add(name: str) -> Callable[[Endpoint], EndpointForm]:
        def fill(now: Endpoint) -> EndpointForm:
            return msgspec.structs.replace(EndpointForm.of(now), metadata={**now.metadata, name: "1"})

        return fill

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(endpoints.update, SCOPE, endpoint.id, add(f"n{number}"))
        group.start_soon(endpoints.set_headers, SCOPE, endpoint.id, lambda _: {"X-A": "1"})
        group.start_soon(endpoints.rotate_secret, SCOPE, endpoint.id)
    after = await endpoints.get(SCOPE, endpoint.id)
    assert set(after.metadata) == {"all", *(f"n{number}" for number in range(8))}
    assert after.headers == {"X-A": "1"}
    assert [secret.key for secret in after.secrets[1:]] == [endpoint.secrets[0].key]


async def test_a_disable_by_the_receiver_survives_a_change_made_meanwhile(endpoints: Endpoints, store: Store) -> None:
    """A 410 commits between the reading and the writing of a PATCH that says nothing of the status."""
    endpoint = await endpoints.create(SCOPE, FORM)
    node = await store.register_node("node_1", 60.0)
    asked: list[Endpoint] = []
    disabled = Disable("app_1", endpoint.id, "gone")

    class Interrupted:
        """The store, with a disable just before the first write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def update_endpoint(self, changed: Endpoint, *, read_at_ms: int | None = None) -> Endpoint | None:
            if not asked:
                asked.append(changed)
                await store.commit(Commit(node, endpoint.updated_at_ms, disables=[disabled]))
            return await store.update_endpoint(changed, read_at_ms=read_at_ms)

    endpoints._store = Interrupted()  # type: ignore[assignment]
    updated = await endpoints.update(
        SCOPE, endpoint.id, lambda now: msgspec.structs.replace(EndpointForm.of(now), description="new")
    )
    assert (updated.description, updated.status, updated.status_reason) == ("new", EndpointStatus.DISABLED, "gone")


async def test_a_change_of_dialect_needs_a_secret_that_fits(endpoints: Endpoints) -> None:
    endpoint = await endpoints.create(SCOPE, said(dialect="speech", secret="my secret"))
    with pytest.raises(InvalidError):
        await endpoints.update(SCOPE, endpoint.id, lambda _: said())
    secret = base64.b64encode(b"s" * 24).decode()
    changed = await endpoints.update(SCOPE, endpoint.id, lambda _: said(secret=secret))
    assert (changed.dialect, len(changed.secrets)) == ("standard", 1)


async def test_every_problem_is_told_at_once(endpoints: Endpoints) -> None:
    form = said(url="ftp://x", uid="ep_1", event_types=(), channels=(), dialect="?", headers={"Host": "x"}, version=0)
    with pytest.raises(InvalidError) as error:
        await endpoints.create(SCOPE, form)
    named = {problem.field[0] for problem in error.value.problems}
    assert named == {"url", "uid", "event_types", "channels", "dialect", "headers", "version"}


async def test_uids_conflict_and_deleted_ones_are_gone(endpoints: Endpoints) -> None:
    first = await endpoints.create(SCOPE, said(uid="same"))
    with pytest.raises((ConflictError, StoreConflictError)):
        await endpoints.create(SCOPE, said(uid="same"))
    await endpoints.delete(SCOPE, "same")
    with pytest.raises(NotFoundError):
        await endpoints.update(SCOPE, first.id, lambda _: said())
    with pytest.raises(NotFoundError):
        await endpoints.delete(SCOPE, first.id)


async def test_nothing_shows_a_secret(endpoints: Endpoints) -> None:
    form = said(dialect="plain", secret="very secret")
    assert "very secret" not in repr(form)
    assert "very secret" not in repr(await endpoints.create(SCOPE, form))


async def test_a_filter_is_checked_kept_and_emptied(endpoints: Endpoints) -> None:
    conditions = {"data.amount": {">": 100}}
    endpoint = await endpoints.create(SCOPE, said(filter=conditions))
    assert endpoint.extras.filter == conditions
    assert (await endpoints.get(SCOPE, endpoint.id)).extras.filter == conditions
    with pytest.raises(InvalidError) as error:
        await endpoints.update(
            SCOPE, endpoint.id, lambda it: msgspec.structs.replace(EndpointForm.of(it), filter={"data.x": {"like": 1}})
        )
    assert error.value.problems[0].field == ("filter", "data.x", "like")
    emptied = await endpoints.update(
        SCOPE, endpoint.id, lambda it: msgspec.structs.replace(EndpointForm.of(it), filter=None)
    )
    assert emptied.extras.filter is None


async def test_customers_do_not_say_how_much_there_is_to_do(endpoints: Endpoints) -> None:
    customer = Principal("org_1", "app_1", may_send=False)
    for _ in range(MAX_OF_CUSTOMERS - 1):
        await endpoints.create(SCOPE, FORM)
    last = await endpoints.create(SCOPE, FORM, principal=customer)
    with pytest.raises(LimitReachedError, match="provider"):
        await endpoints.create(SCOPE, FORM, principal=customer)
    for provider in (Principal("org_1"), Principal("org_1", "app_1"), None):
        await endpoints.delete(SCOPE, (await endpoints.create(SCOPE, FORM, principal=provider)).id)
    await endpoints.delete(SCOPE, last.id)
    await endpoints.create(SCOPE, FORM, principal=customer)
