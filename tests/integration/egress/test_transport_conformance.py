"""What every transport promises, run against the real one and the in-memory one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from hookline.egress import (
    EgressPolicy,
    Failure,
    MemoryTransport,
    Outcome,
    Reason,
    Request,
    Response,
    Transport,
    parse_networks,
)
from integration.egress.conftest import LoopLag, Make
from integration.egress.receivers import Receiver


@dataclass
class Bench:
    """A transport and a receiver that can be told to answer or to hang."""

    transport: Transport
    url: str
    hold: Callable[[], None]
    release: Callable[[], None]
    wait_for_arrival: Callable[[int], object]

    def request(self, timeout_s: float = 10, url: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Request:
        return Request("POST", url or self.url, headers, b"{}", timeout_s)


@pytest.fixture(params=["http", "memory"])
async def bench(request: pytest.FixtureRequest, receiver: Receiver, make_transport: Make) -> AsyncIterator[Bench]:
    policy = EgressPolicy(allow=parse_networks("127.0.0.0/8"))
    if request.param == "http":
        http = make_transport()
        gate = asyncio.Event()

        async def wait(count: int) -> None:
            while len(receiver.requests) < count:
                receiver.arrived.clear()
                await receiver.arrived.wait()

        yield Bench(http, receiver.url(), lambda: setattr(receiver, "hold", gate), gate.set, wait)
        await http.close()
        return
    memory = MemoryTransport(lambda _: Response.scripted(200, {"Content-Length": "2"}, b"ok"), policy)

    def release() -> None:
        for exchange in list(memory.hanging):
            exchange.release(Response.scripted(200, {"Content-Length": "2"}, b"ok"))

    async def arrived(count: int) -> None:
        assert len(memory.requests) >= count

    yield Bench(memory, receiver.url(), lambda: setattr(memory, "script", lambda _: None), release, arrived)
    await memory.close()


class Seen(list[Outcome]):
    """A callback that remembers, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def __call__(self, outcome: Outcome) -> None:
        self.append(outcome)
        self.came.set()


async def settle() -> None:
    """Give the loop every chance to call something twice."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_success(bench: Bench) -> None:
    outcome = await bench.transport.send(bench.request())
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body, outcome.truncated) == (200, b"ok", False)
    assert outcome.headers["content-length"] == "2"


async def test_callback_comes_once_and_never_from_inside_start(bench: Bench) -> None:
    for request, kind in (
        (bench.request(), Response),
        (bench.request(url="https://10.0.0.1/"), Failure),
        (bench.request(url="nonsense"), Failure),
        (bench.request(headers=(("a", "b\r\nc"),)), Failure),
    ):
        seen = Seen()
        handle = bench.transport.start(request, seen)
        assert seen == []
        await seen.came.wait()
        handle.cancel()
        handle.cancel()
        await settle()
        assert [type(outcome) for outcome in seen] == [kind]


@pytest.mark.parametrize(
    ("url", "headers", "reason"),
    [
        ("https://10.0.0.1/", (), Reason.BLOCKED_ADDRESS),
        ("https://example.com:22/", (), Reason.BLOCKED_PORT),
        ("nonsense", (), Reason.INVALID_URL),
        ("", (("a b", "c"),), Reason.INVALID_HEADER),
        ("", (("a", "b\nc"),), Reason.INVALID_HEADER),
        ("", (("Content-Length", "5"),), Reason.INVALID_HEADER),
    ],
)
async def test_refusals(bench: Bench, url: str, headers: tuple[tuple[str, str], ...], reason: Reason) -> None:
    outcome = await bench.transport.send(bench.request(url=url, headers=headers))
    assert isinstance(outcome, Failure)
    assert outcome.reason is reason
    assert outcome.detail


async def test_cancel(bench: Bench) -> None:
    bench.hold()
    for wait_first in (False, True):
        seen = Seen()
        handle = bench.transport.start(bench.request(), seen)
        if wait_first:
            await bench.wait_for_arrival(1)  # type: ignore[misc]
        handle.cancel()
        assert seen == []
        handle.cancel()
        await seen.came.wait()
        await settle()
        assert [outcome.reason for outcome in seen if isinstance(outcome, Failure)] == [Reason.CANCELED]
        assert len(seen) == 1


async def test_cancelling_send_cancels_the_request(bench: Bench) -> None:
    bench.hold()
    task = asyncio.create_task(bench.transport.send(bench.request()))
    await asyncio.sleep(0)
    await bench.wait_for_arrival(1)  # type: ignore[misc]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    seen = Seen()
    bench.transport.start(bench.request(), seen)
    bench.transport.abort_all(Reason.LEASE_LOST)
    await seen.came.wait()
    assert len(seen) == 1


async def test_deadline(bench: Bench, loop_lag: LoopLag) -> None:
    bench.hold()
    loop = asyncio.get_running_loop()
    before_s = loop.time()
    outcome = await bench.transport.send(bench.request(timeout_s=0.2))
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.TIMEOUT_TOTAL
    assert 0.19 <= loop.time() - before_s < 0.2 + loop_lag.slack_s()


async def test_abort_all_cuts_everything_in_flight(bench: Bench) -> None:
    bench.hold()
    callbacks = [Seen() for _ in range(5)]
    for seen in callbacks:
        bench.transport.start(bench.request(), seen)
    await asyncio.sleep(0)
    bench.transport.abort_all(Reason.LEASE_LOST)
    for seen in callbacks:
        await seen.came.wait()
    bench.release()
    await settle()
    reasons = [outcome.reason for seen in callbacks for outcome in seen if isinstance(outcome, Failure)]
    assert reasons == [Reason.LEASE_LOST] * 5


async def test_close_cuts_what_is_in_flight_and_refuses_the_rest(bench: Bench) -> None:
    bench.hold()
    seen = Seen()
    bench.transport.start(bench.request(), seen)
    await bench.transport.close()
    late = await bench.transport.send(bench.request())
    await settle()
    assert [outcome.reason for outcome in [*seen, late] if isinstance(outcome, Failure)] == [Reason.CANCELED] * 2


async def test_a_failing_callback_harms_nobody_else(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    problems: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: problems.append(context))

    def fail(outcome: Outcome) -> None:
        raise RuntimeError(outcome)

    try:
        bench.transport.start(bench.request(), fail)
        outcomes = await asyncio.gather(*(bench.transport.send(bench.request()) for _ in range(3)))
    finally:
        loop.set_exception_handler(None)
    assert [type(outcome) for outcome in outcomes] == [Response] * 3
    assert [type(problem["exception"]) for problem in problems] == [RuntimeError]
