"""Which messages each replay takes. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookline.jobs import bulk_replay, recover, replay_missing
from hookline.jobs.replaying import ReplayParameters
from hookline.model import SVIX_STATUS, DeliveryState
from hookline.store.tasks import Candidate
from support.samples import make_endpoint

S = DeliveryState
ALL = ReplayParameters("ep_1", 0, 1)
ENDPOINT = make_endpoint()


def candidate(state: DeliveryState | None, **changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "message_id": "msg_1",
        "event_type": "order.created",
        "channels": ("eu",),
        "tags": ("big",),
        "in_window": True,
        "payload_expired": False,
        "status_classes": frozenset({200, 500}),
        "resend_waits": False,
    }
    return Candidate(state=state, **fields | changes)


@pytest.mark.parametrize("state", [*DeliveryState, None])
def test_each_state_is_somebodys(state: DeliveryState | None) -> None:
    one = candidate(state)
    assert recover.has_failed(ALL, ENDPOINT, one) is (state in {S.EXHAUSTED, S.ABORTED, S.CANCELED})
    assert replay_missing.is_missing(ALL, ENDPOINT, one) is (state is None)
    assert bulk_replay.is_wanted(ALL, ENDPOINT, one) is (state is not None)
    for number in range(5):
        chosen = msgspec.structs.replace(ALL, statuses=(number,))
        expected = state is not None and SVIX_STATUS[state] == number
        assert bulk_replay.is_wanted(chosen, ENDPOINT, one) is expected


def test_what_somebody_tries_again_already_is_left_to_them() -> None:
    one = candidate(S.EXHAUSTED, resend_waits=True)
    assert not recover.has_failed(ALL, ENDPOINT, one)
    assert not bulk_replay.is_wanted(ALL, ENDPOINT, one)


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"event_types": ("order.created", "x")}, True),
        ({"event_types": ("order",)}, False),
        ({"channel": "eu"}, True),
        ({"channel": "e"}, False),
        ({"tag": "big"}, True),
        ({"tag": "eu"}, False),
        ({"status_class": 500}, True),
        ({"status_class": 0}, False),
        ({"channel": "eu", "tag": "small"}, False),
    ],
)
def test_bulk_replay_asks_for_all_that_is_given(filters: dict[str, Any], fits: bool) -> None:
    chosen = msgspec.structs.replace(ALL, **filters)
    assert bulk_replay.is_wanted(chosen, ENDPOINT, candidate(S.SUCCEEDED)) is fits


def test_missing_follows_the_endpoints_own_filters() -> None:
    for changes, fits in (
        ({"event_types": ("order.*",)}, True),
        ({"event_types": ("invoice.*",)}, False),
        ({"channels": ("eu", "us")}, True),
        ({"channels": ("us",)}, False),
    ):
        endpoint = msgspec.structs.replace(ENDPOINT, **changes)
        assert replay_missing.is_missing(ALL, endpoint, candidate(None)) is fits
