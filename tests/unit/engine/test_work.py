"""What waits for a commit: taking, putting back, cutting in two; the batches it settles."""

from __future__ import annotations

import logging

import pytest

from hookline.clock import ManualClock
from hookline.engine.batches import Batches
from hookline.engine.delivery import Delivery
from hookline.engine.drafts import Draft, Receipt
from hookline.engine.errors import EngineError
from hookline.engine.options import EngineOptions
from hookline.engine.work import KINDS, WaitingDraft, WaitingOutcome, WaitingSpill, Work, WorkQueue
from hookline.model import Attempt, AttemptStatus, Kind
from hookline.store.changes import DeliveryKey, Disable, LaneHealth, Spill
from support.samples import make_message

OPTIONS = EngineOptions(max_messages_per_commit=3, max_outcomes_per_commit=4)


def delivery() -> Delivery:
    return Delivery(make_message(), "ep_1", 1)


def draft(said: list | None = None) -> WaitingDraft:
    said = [] if said is None else said
    return WaitingDraft(Draft("org", "app", "a.b", b"{}"), said.append)


def outcome(body: bytes = b"text") -> WaitingOutcome:
    attempt = Attempt(
        id="atmpt_1",
        app_id="app_1",
        message_id="msg_1",
        endpoint_id="ep_1",
        kind=Kind.SCHEDULED,
        number=2,
        url="https://x.example/",
        status=AttemptStatus.FAILED,
        final=False,
        reason="http_status",
        detail="no",
        response_status=500,
        response_body=body,
        duration_ms=3,
        created_at_ms=5,
        next_attempt_at_ms=9,
    )
    return WaitingOutcome(attempt, delivery(), 9, Disable("app_1", "ep_1", "gone"))


def spill() -> WaitingSpill:
    return WaitingSpill(Spill(DeliveryKey("msg_1", "ep_1"), "app_1", 5), delivery())


def health(endpoint_id: str = "ep_1", failures: int = 0) -> LaneHealth:
    return LaneHealth(endpoint_id, "app_1", "open", 5, failures, None)


def everything() -> Work:
    return Work(
        drafts=[draft() for _ in range(3)],
        outcomes=[outcome() for _ in range(3)],
        spills=[spill() for _ in range(3)],
        releases=[(DeliveryKey("msg_1", "ep_1"), 1)] * 3,
        settled=["a", "b", "c"],
        lanes=[health(str(n)) for n in range(3)],
    )


def leaves(work: Work) -> list[Work]:
    halves = work.halves()
    return [work] if halves is None else [leaf for half in halves for leaf in leaves(half)]


def test_cutting_ends_at_single_things_and_loses_none():
    work = everything()
    found = leaves(work)
    assert [len(leaf) for leaf in found] == [1] * 18
    for kind in KINDS:
        assert [item for leaf in found for item in getattr(leaf, kind)] == getattr(work, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone_is_cut_in_the_middle(kind):
    work = Work(**{kind: getattr(everything(), kind)})
    first, second = work.halves()
    assert (len(first), len(second)) == (1, 2)
    assert len(getattr(second, kind)) == 2


def test_one_thing_and_nothing_are_not_cut():
    assert Work().halves() is None
    assert Work(spills=[spill()]).halves() is None


def test_messages_are_cut_off_first_so_that_who_waits_is_served():
    first, second = everything().halves()
    assert (len(first.drafts), len(first)) == (3, 3)
    assert not second.drafts


def test_taking_keeps_the_order_and_leaves_the_rest():
    queue = WorkQueue(OPTIONS)
    drafts, outcomes = [draft() for _ in range(5)], [outcome() for _ in range(6)]
    queue.drafts.extend(drafts)
    queue.outcomes.extend(outcomes)
    queue.settled += ["a"]
    queue.lanes["ep_1"] = health()
    work = queue.take()
    assert (work.drafts, work.outcomes) == (drafts[:3], outcomes[:4])
    assert (work.settled, work.lanes) == (["a"], [health()])
    assert (list(queue.drafts), list(queue.outcomes)) == (drafts[3:], outcomes[4:])
    assert len(queue) == 2
    queue.take()
    assert len(queue.take()) == 0


def test_putting_back_is_first_in_line_again_without_the_drafts():
    queue = WorkQueue(OPTIONS)
    first, second = outcome(), outcome()
    queue.outcomes.append(first)
    queue.settled += ["a"]
    queue.lanes = {"ep_1": health(failures=1), "ep_2": health("ep_2")}
    queue.drafts.append(draft())
    work = queue.take()
    queue.outcomes.append(second)
    queue.settled += ["b"]
    queue.lanes["ep_1"] = health(failures=2)
    queue.put_back(work)
    assert list(queue.outcomes) == [first, second]
    assert queue.settled == ["a", "b"]
    assert queue.lanes["ep_1"].failures == 2  # what is newer stays
    assert set(queue.lanes) == {"ep_1", "ep_2"}
    assert not queue.drafts


def test_stripping_takes_what_came_from_outside_and_nothing_else():
    whole = outcome()
    bare = whole.stripped()
    assert (bare.attempt.response_body, bare.attempt.detail, bare.attempt.url) == (b"", "", "")
    assert (bare.attempt.number, bare.attempt.response_status, bare.attempt.reason) == (2, 500, "http_status")
    assert (bare.delivery, bare.retry_at_ms, bare.disable) == (whole.delivery, 9, whole.disable)


def test_a_draft_is_answered_once():
    said: list = []
    one = draft(said)
    one.answer(Receipt(make_message()))
    one.answer(EngineError("too late"))
    assert said == [Receipt(make_message())]


def test_a_caller_that_breaks_is_logged_and_does_not_break_us(caplog):
    def broken(answer: object) -> None:
        raise RuntimeError("gone")

    one = WaitingDraft(Draft("org", "app", "a.b", b"{}"), broken)
    with caplog.at_level(logging.ERROR):
        one.answer(Receipt(make_message()))
    assert one.answered
    assert "a receipt could not be handed over" in caplog.text


# Batches


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settled() -> list[str]:
    return []


@pytest.fixture
def batches(clock, settled) -> Batches:
    return Batches(clock, settled.append)


def fill(batches: Batches, name: str, count: int) -> list[Delivery]:
    batch = batches.open(name)
    deliveries = [delivery() for _ in range(count)]
    for one in deliveries:
        one.batch = batch
        batch.open.add(one)
    return deliveries


def test_a_batch_is_settled_by_its_last_delivery_once(batches, settled):
    first, second = fill(batches, "b1", 2)
    batches.settle(first)
    batches.settle(first)
    assert settled == []
    assert "b1" in batches
    batches.settle(second)
    batches.settle(second)
    assert settled == ["b1"]
    assert "b1" not in batches


def test_a_delivery_without_a_batch_settles_nothing(batches, settled):
    batches.settle(delivery())
    assert settled == []


def test_stragglers_are_found_once_and_only_in_batches_that_are_old(batches, clock):
    old = fill(batches, "old", 2)
    clock.advance(4)
    fill(batches, "young", 1)
    clock.advance(1.5)
    assert set(batches.stragglers(5.0)) == set(old)
    assert batches.stragglers(5.0) == []


def test_what_is_being_recorded_is_no_straggler(batches, clock):
    first, second = fill(batches, "b1", 2)
    first.settling = True
    clock.advance(10)
    assert batches.stragglers(5.0) == [second]


def test_a_forgotten_batch_is_never_settled(batches, settled):
    """Somebody else owes it now."""
    deliveries = fill(batches, "b1", 2)
    batches.forget_all()
    for one in deliveries:
        batches.settle(one)
    assert settled == []
    assert len(batches) == 0
