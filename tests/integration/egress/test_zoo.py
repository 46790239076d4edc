"""Every animal of the zoo against the real client: the right verdict, in time, within the byte caps."""

from __future__ import annotations

import asyncio
import time

import pytest

from hookline.egress import EgressPolicy, Failure, HttpTransport, Limits, Reason, Request, Response, parse_networks
from integration.egress.conftest import LoopLag
from integration.egress.zoo import BEHAVIOURS, Behaviour, listen_without_accepting, serve

ONE_READ_BYTES = 256 * 1024  # what the loop reads at once at most, before anybody can count
LIMITS = Limits()
MOST_BYTES = LIMITS.max_head_bytes + LIMITS.max_body_bytes + LIMITS.max_framing_bytes + ONE_READ_BYTES


def test_zoo_is_large() -> None:
    assert len(BEHAVIOURS) >= 60


@pytest.mark.parametrize("animal", BEHAVIOURS.values(), ids=lambda animal: animal.name)
async def test_animal(animal: Behaviour, loop_lag: LoopLag) -> None:
    timeout_s = 0.3 if animal.ends_at_deadline else 10.0
    transport = HttpTransport(EgressPolicy.from_settings(allow="127.0.0.0/8"))
    async with serve(animal) as port:
        request = Request("POST", f"http://127.0.0.1:{port}/", [], b"x" * animal.body_bytes, timeout_s)
        before_s = time.monotonic()
        outcome = await transport.send(request)
        took_s = time.monotonic() - before_s
        await transport.close()

    code = outcome.reason if isinstance(outcome, Failure) else outcome.status
    assert code in animal.expected, outcome
    assert took_s < (timeout_s if animal.ends_at_deadline else 5.0) + loop_lag.slack_s()
    assert outcome.bytes_received <= MOST_BYTES
    assert transport.open_connections == 0
    if isinstance(outcome, Failure):
        assert outcome.detail.endswith(".")
        assert "127.0.0.1" not in outcome.detail
    else:
        assert outcome.truncated == animal.truncated
        assert len(outcome.body) <= LIMITS.max_excerpt_bytes


async def test_full_accept_queue_is_a_connect_timeout(loop_lag: LoopLag) -> None:
    policy = EgressPolicy(allow=parse_networks("127.0.0.0/8"), connect_timeout_s=0.2)
    transport = HttpTransport(policy)
    with listen_without_accepting() as port:
        outcome = await transport.send(Request("POST", f"http://127.0.0.1:{port}/", [], b"", 10))
    await transport.close()
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.TIMEOUT_CONNECT
    assert outcome.duration_ms < (0.2 + loop_lag.slack_s()) * 1000


POISONERS = [
    "body_longer_than_said",
    "second_answer_behind",
    "half_an_answer_behind",
    "no_content_with_body",
    "endless_body",
    "answer_before_reading_the_body",
]


@pytest.mark.parametrize("name", POISONERS)
async def test_poisoned_connections_are_not_used_again(name: str) -> None:
    transport = HttpTransport(EgressPolicy.from_settings(allow="127.0.0.0/8"))
    connections = 0
    animal = BEHAVIOURS[name]

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await animal.act(reader, writer)

    async with serve(Behaviour(name, act, animal.expected)) as port:
        for _ in range(2):
            outcome = await transport.send(
                Request("POST", f"http://127.0.0.1:{port}/", [], b"x" * animal.body_bytes, 10)
            )
            assert isinstance(outcome, Response)
            assert b"poison" not in outcome.body
        await transport.close()
    assert connections == 2
