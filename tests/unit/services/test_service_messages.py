"""Drafts: what is checked, which keys a message gets, and who it turns out to be."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.clock import ManualClock
from hookline.engine import Draft, Receipt
from hookline.model import Application, Message, ids
from hookline.services import (
    ChecksCache,
    ConflictError,
    InvalidError,
    MessageForm,
    MessageOptions,
    Messages,
    PayloadTooLargeError,
)
from hookline.services.checks import Checks
from hookline.store import AppScope, Commit, Duplicate, NewMessage, Store

SCOPE = AppScope("org_1", "app_1")
FORM = MessageForm("a.b", b"{}")


class NobodyAccepts:
    """Drafts need no engine."""

    async def accept(self, draft: Draft) -> Receipt:
        raise AssertionError(draft)


def messages(store: Store, clock: ManualClock, **options: int) -> Messages:
    return Messages(store, NobodyAccepts(), ChecksCache(store), clock, MessageOptions(**options))


async def test_a_draft_says_what_the_form_said(store: Store, clock: ManualClock) -> None:
    form = MessageForm("a.b", b'{"n": 1}', "evt", ("x", "y", "x"), 3_600)
    draft = messages(store, clock).draft(SCOPE, form)
    assert (draft.org_id, draft.app_id, draft.event_type, draft.payload) == ("org_1", "app_1", "a.b", b'{"n": 1}')
    assert (draft.event_id, draft.channels) == ("evt", ("x", "y"))
    assert draft.payload_expires_at_ms == clock.now_ms() + 3_600_000
    assert messages(store, clock).draft(SCOPE, FORM).payload_expires_at_ms is None
    assert messages(store, clock, retention_s=60).draft(SCOPE, FORM).payload_expires_at_ms == clock.now_ms() + 60_000


@pytest.mark.parametrize(
    ("stated", "organization", "operator", "kept"),
    [
        (None, None, None, None),
        (None, 7, None, 7),
        (None, 7, 3, 3),
        (None, 7, 9, 7),
        (None, None, 9, 9),
        (60, 7, 3, 60),
    ],
)
async def test_whose_retention_counts(
    store: Store,
    clock: ManualClock,
    stated: int | None,
    organization: int | None,
    operator: int | None,
    kept: int | None,
) -> None:
    """What the message says; else the shorter one of its organization's and the operator's."""
    day_s = 86_400.0
    service = messages(store, clock, **({} if operator is None else {"retention_s": operator * day_s}))
    checks = Checks(None, {}, None if organization is None else organization * day_s)
    form = msgspec.structs.replace(FORM, retention_s=None if stated is None else stated * day_s)
    expires_at_ms = service.draft(SCOPE, form, checks=checks).payload_expires_at_ms
    assert expires_at_ms == (None if kept is None else clock.now_ms() + kept * day_s * 1000)


async def test_tags_and_when_it_goes_out(store: Store, clock: ManualClock) -> None:
    service, now_ms = messages(store, clock), clock.now_ms()
    hour = 3_600_000
    form = MessageForm("a.b", b"{}", retention_s=3_600, tags=("x", "y z", "x"), deliver_at_ms=now_ms + 48 * hour)
    draft = service.draft(SCOPE, form)
    assert (draft.tags, draft.deliver_at_ms) == (("x", "y z"), now_ms + 48 * hour)
    assert draft.payload_expires_at_ms == now_ms + 49 * hour  # it cannot expire before it goes out
    assert (service.draft(SCOPE, FORM).tags, service.draft(SCOPE, FORM).deliver_at_ms) == ((), None)


@pytest.mark.parametrize(("ahead_ms", "waits"), [(-(10**15), False), (-1, False), (999, False), (1_000, True)])
async def test_the_past_and_the_next_moment_mean_now(
    store: Store, clock: ManualClock, ahead_ms: int, waits: bool
) -> None:
    moment_ms = clock.now_ms() + ahead_ms
    form = msgspec.structs.replace(FORM, deliver_at_ms=moment_ms)
    assert messages(store, clock).draft(SCOPE, form).deliver_at_ms == (moment_ms if waits else None)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"deliver_at_ms": 7 * 86_400_000 + 1}, [("deliver_at",)]),
        ({"tags": ("a", "b", "c", "d", "e", "f")}, [("tags",)]),
        ({"tags": ("good", "", "a,b", "x" * 129, "a\x00")}, [("tags", 1), ("tags", 2), ("tags", 3), ("tags", 4)]),
        ({"tags": ("\ud800",)}, [("tags", 0)]),
    ],
)
async def test_tags_and_times_that_are_none(
    store: Store, clock: ManualClock, changes: dict[str, Any], fields: list[tuple[object, ...]]
) -> None:
    if "deliver_at_ms" in changes:
        changes = {"deliver_at_ms": clock.now_ms() + changes["deliver_at_ms"]}
    with pytest.raises(InvalidError) as error:
        messages(store, clock).draft(SCOPE, msgspec.structs.replace(FORM, **changes))
    assert [problem.field for problem in error.value.problems] == fields


async def test_keys_and_how_long_they_last(store: Store, clock: ManualClock) -> None:
    service = messages(store, clock)

    def keys(event_id: str | None, key: str | None) -> list[tuple[str, float]]:
        draft = service.draft(SCOPE, msgspec.structs.replace(FORM, event_id=event_id), idempotency_key=key)
        return [(made.key, (made.expires_at_ms - clock.now_ms()) / 1000) for made in draft.keys]

    day = 86_400.0
    assert keys(None, None) == []
    assert keys("evt", None) == [("event:evt", 90 * day)]
    assert keys(None, "mine") == [("idempotency:mine", day / 2)]
    assert keys(None, '"mine"') == [("idempotency:mine", day / 2)]
    assert keys(None, "auto_1") == [("idempotency:auto_1", 900.0)]
    assert keys("evt", "mine") == [("idempotency:mine", day / 2), ("event:evt", 90 * day)]


@pytest.mark.parametrize("key", ["", " ", '""', "x" * 257, "é", "a\x00b", "a\tb"])
async def test_keys_that_are_none(store: Store, clock: ManualClock, key: str) -> None:
    with pytest.raises(InvalidError) as error:
        messages(store, clock).draft(SCOPE, FORM, idempotency_key=key)
    assert [(problem.place, problem.field) for problem in error.value.problems] == [("header", ("idempotency-key",))]


async def test_fingerprints_tell_requests_apart(store: Store, clock: ManualClock) -> None:
    service = messages(store, clock)

    def prints(request: bytes, key: str, scope: AppScope = SCOPE) -> list[bytes]:
        form = msgspec.structs.replace(FORM, event_id="evt")
        return [made.fingerprint for made in service.draft(scope, form, request=request, idempotency_key=key).keys]

    assert prints(b"a", "k") == prints(b"a", "k")
    assert prints(b"a", "k")[0] != prints(b"b", "k")[0]
    assert prints(b"a", "k")[0] == prints(b"a", "other")[0]
    assert prints(b"a", "k")[1] != prints(b"a", "other")[1]  # the same event, asked for by another request
    assert prints(b"a", "k") != prints(b"a", "k", AppScope("org_1", "app_2"))


async def test_size_comes_before_everything_else(store: Store, clock: ManualClock) -> None:
    service = messages(store, clock, max_payload_bytes=10)
    service.draft(SCOPE, MessageForm("a.b", b'{"a":1234}'))
    with pytest.raises(PayloadTooLargeError):
        service.draft(SCOPE, MessageForm("a b", b'{"a":12345}'))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists, max_leaves=5
    )
)
def test_payloads_are_objects(value: object) -> None:
    service = Messages(None, NobodyAccepts(), None, ManualClock())  # type: ignore[arg-type]
    service.draft(SCOPE, MessageForm("a.b", json.dumps({"v": value}).encode("utf-8", "replace")))
    with pytest.raises(InvalidError):
        service.draft(SCOPE, MessageForm("a.b", json.dumps(value).encode("utf-8", "replace")))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_payload_or_a_problem(content: bytes) -> None:
    service = Messages(None, NobodyAccepts(), None, ManualClock())  # type: ignore[arg-type]
    try:
        draft = service.draft(SCOPE, MessageForm("a.b", content))
    except InvalidError as error:
        problems = error.problems
    else:
        assert isinstance(json.loads(draft.payload), dict)
        assert draft.payload == content
        return
    assert [problem.field for problem in problems] == [("payload",)]


class TestSettling:
    """Who a draft turns out to be, when one of its keys is taken."""

    @pytest.fixture
    async def kept(self, store: Store, clock: ManualClock) -> Message:
        """Keep a message, to which keys can lead."""
        now_ms = clock.now_ms()
        application = Application("app_1", "org_1", None, "App", None, {}, now_ms, now_ms)
        await store.create_application(application)
        message = Message(ids.new_id(ids.MESSAGE), "org_1", "app_1", "a.b", b"{}", (), now_ms)
        node = await store.register_node("node_1", 15)
        routing = await store.load_routing("app_1")
        assert routing is not None
        await store.commit(Commit(node, now_ms, messages=(NewMessage(message),), routing={"app_1": routing[0]}))
        return message

    def draft(self, service: Messages, key: str | None, request: bytes = b"same") -> Draft:
        form = msgspec.structs.replace(FORM, event_id="evt")
        return service.draft(SCOPE, form, request=request, idempotency_key=key)

    def receipt(self, kept: Message, of: Draft, index: int) -> Receipt:
        taken = of.keys[index]
        return Receipt(kept, Duplicate(taken.key, kept.id, taken.fingerprint))

    async def test_nothing_was_taken(self, store: Store, clock: ManualClock, kept: Message) -> None:
        service = messages(store, clock)
        assert await service.settle(self.draft(service, "k"), Receipt(kept)) is kept

    @pytest.mark.parametrize("index", [0, 1])
    async def test_the_same_request(self, store: Store, clock: ManualClock, kept: Message, index: int) -> None:
        service = messages(store, clock)
        draft = self.draft(service, "k")
        assert (await service.settle(draft, self.receipt(kept, draft, index))).id == kept.id

    async def test_the_key_for_another_request(self, store: Store, clock: ManualClock, kept: Message) -> None:
        service = messages(store, clock)
        before, now = self.draft(service, "k"), self.draft(service, "k", b"other")
        with pytest.raises(InvalidError) as error:
            await service.settle(now, self.receipt(kept, before, 0))
        assert error.value.problems[0].kind == "idempotency_key_reused"

    @pytest.mark.parametrize(("first", "second"), [("k", "k2"), ("k", None), (None, "k"), (None, None)])
    async def test_the_event_from_another_request(
        self, store: Store, clock: ManualClock, kept: Message, first: str | None, second: str | None
    ) -> None:
        service = messages(store, clock)
        before, now = self.draft(service, first), self.draft(service, second)
        with pytest.raises(ConflictError):
            await service.settle(now, self.receipt(kept, before, -1))

    async def test_what_the_key_named_is_gone(self, store: Store, clock: ManualClock, kept: Message) -> None:
        service = messages(store, clock)
        draft = self.draft(service, "k")
        gone = msgspec.structs.replace(kept, id=ids.new_id(ids.MESSAGE))
        with pytest.raises(ConflictError):
            await service.settle(draft, self.receipt(gone, draft, 0))
