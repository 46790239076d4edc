"""The delivery client: connections used again, closed, counted and waited for."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

import pytest

from hookline.egress import HttpTransport, Outcome, Reason, Response
from integration.egress.conftest import LoopLag
from integration.egress.receivers import Receiver, post, reason_of, run_receiver
from integration.egress.zoo import serve_act

Make = Callable[..., HttpTransport]


async def test_connections_are_used_again(make_transport: Make, receiver: Receiver) -> None:
    transport = make_transport()
    for path in ("/a", "/b", "/a"):
        assert isinstance(await transport.send(post(receiver.url(path))), Response)
    assert receiver.connections == 1
    assert [path for path, _ in receiver.requests] == ["/a", "/b", "/a"]


async def test_the_callback_may_use_the_same_connection(make_transport: Make, receiver: Receiver) -> None:
    transport = make_transport()
    done = asyncio.Event()
    transport.start(
        post(receiver.url()), lambda _: transport.start(post(receiver.url()), lambda _: done.set()) and None
    )
    await done.wait()
    assert receiver.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_connections_that_end_are_not_kept(make_transport: Make, receiver: Receiver, answer: bytes) -> None:
    receiver.answer = answer
    transport = make_transport()
    for _ in range(2):
        assert isinstance(await transport.send(post(receiver.url())), Response)
    assert receiver.connections == 2


async def test_idle_connection_closed_by_the_server_costs_no_failure(make_transport: Make, receiver: Receiver) -> None:
    receiver.close_after_answer = True
    transport = make_transport()
    # Each goes out at once on what still looks like an open connection, before the loop can see that it is not.
    outcomes = [await transport.send(post(receiver.url())) for _ in range(20)]
    assert [type(outcome) for outcome in outcomes] == [Response] * 20
    assert len(receiver.requests) == 20


async def test_a_request_is_repeated_once_and_only_on_a_used_connection(make_transport: Make) -> None:
    connections = requests = 0

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, requests
        connections += 1
        await reader.readuntil(b"{}")
        requests += 1
        if connections == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.readuntil(b"{}")
            requests += 1

    async with serve_act(act) as port:
        transport = make_transport()
        assert isinstance(await transport.send(post(f"http://127.0.0.1:{port}/")), Response)
        # Closed without an answer on the used connection: once more on a fresh one, which closes too. That is final.
        assert reason_of(await transport.send(post(f"http://127.0.0.1:{port}/"))) is Reason.CLOSED_EARLY
        assert (connections, requests) == (2, 3)
        assert reason_of(await transport.send(post(f"http://127.0.0.1:{port}/"))) is Reason.CLOSED_EARLY
        assert (connections, requests) == (3, 4)
        await transport.close()


async def test_the_repeat_goes_out_on_a_fresh_connection(make_transport: Make) -> None:
    connections = 0
    both_open = asyncio.Event()

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        if connections == 2:
            both_open.set()
        await both_open.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"{}")

    async with serve_act(act) as port:
        transport = make_transport()
        request = post(f"http://127.0.0.1:{port}/")
        await asyncio.gather(transport.send(request), transport.send(request))
        # Two used connections lie in the pool, and the server drops both at the next request.
        assert isinstance(await transport.send(request), Response)
        assert connections == 3
        await transport.close()


async def test_a_request_is_not_repeated_after_the_first_byte_of_an_answer(make_transport: Make) -> None:
    requests = 0

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 2"):
            await reader.readuntil(b"{}")
            requests += 1
            writer.write(answer)

    async with serve_act(act) as port:
        transport = make_transport()
        assert isinstance(await transport.send(post(f"http://127.0.0.1:{port}/")), Response)
        assert reason_of(await transport.send(post(f"http://127.0.0.1:{port}/"))) is Reason.CLOSED_EARLY
        assert requests == 2
        await transport.close()


async def test_idle_connections_age_out(make_transport: Make, receiver: Receiver) -> None:
    transport = make_transport(max_idle_s=0.05)
    await transport.send(post(receiver.url()))
    assert transport.open_connections == 1
    async with asyncio.timeout(5):
        while transport.open_connections:
            await asyncio.sleep(0.01)


async def test_too_many_idle_connections_are_closed_oldest_first(make_transport: Make) -> None:
    transport = make_transport(max_idle_connections=2)
    async with run_receiver() as a, run_receiver() as b, run_receiver() as c:
        for receiver in (a, b, c, b, c):
            await transport.send(post(receiver.url()))
        assert [receiver.connections for receiver in (a, b, c)] == [1, 1, 1]
        await transport.send(post(a.url()))
        assert a.connections == 2
        await transport.close()


async def test_connections_per_host_are_capped_and_the_rest_waits_in_order(
    make_transport: Make, receiver: Receiver
) -> None:
    transport = make_transport(max_connections_per_host=3)
    outcomes = await asyncio.gather(*(transport.send(post(receiver.url(f"/{n}"))) for n in range(30)))
    assert [type(outcome) for outcome in outcomes] == [Response] * 30
    assert receiver.connections == 3
    assert sorted(path for path, _ in receiver.requests) == sorted(f"/{n}" for n in range(30))


async def test_connections_in_all_are_capped_and_hosts_take_turns(make_transport: Make) -> None:
    transport = make_transport(max_connections=2)
    async with run_receiver() as a, run_receiver() as b, run_receiver() as c:
        most = 0

        async def one(receiver: Receiver, number: int) -> Outcome:
            nonlocal most
            outcome = await transport.send(post(receiver.url(f"/{number}")))
            most = max(most, transport.open_connections)
            return outcome

        outcomes = await asyncio.gather(*(one(receiver, number) for number in range(10) for receiver in (a, b, c)))
        assert [type(outcome) for outcome in outcomes] == [Response] * 30
        # A connection that was cut counts until the loop has seen it go, one turn later.
        assert most <= 3
        await transport.close()


async def test_waiting_counts_against_the_deadline(make_transport: Make, receiver: Receiver) -> None:
    receiver.hold = asyncio.Event()
    transport = make_transport(max_connections_per_host=1)
    first = asyncio.create_task(transport.send(post(receiver.url("/first"))))
    await receiver.arrived.wait()
    assert reason_of(await transport.send(post(receiver.url("/second"), timeout_s=0.1))) is Reason.TIMEOUT_TOTAL
    waiting = asyncio.create_task(transport.send(post(receiver.url("/third"))))
    await asyncio.sleep(0)
    receiver.hold.set()
    assert isinstance(await first, Response)
    assert isinstance(await waiting, Response)
    assert [path for path, _ in receiver.requests] == ["/first", "/third"]


async def test_a_host_that_hangs_leaves_its_place_when_overdue(make_transport: Make, receiver: Receiver) -> None:
    receiver.hold = asyncio.Event()
    transport = make_transport(max_connections_per_host=1)
    hanging = asyncio.create_task(transport.send(post(receiver.url("/hangs"), timeout_s=0.15)))
    await receiver.arrived.wait()
    receiver.hold = None
    assert isinstance(await transport.send(post(receiver.url("/next"), timeout_s=5)), Response)
    assert reason_of(await hanging) is Reason.TIMEOUT_TOTAL
    assert receiver.connections == 2


async def test_a_thousand_at_once(make_transport: Make) -> None:
    transport = make_transport(max_connections_per_host=50)
    async with run_receiver() as a, run_receiver() as b:
        urls = [(a, b)[n % 2].url(f"/{n}") for n in range(1000)]
        outcomes = await asyncio.gather(*(transport.send(post(url, timeout_s=60)) for url in urls))
        assert [type(outcome) for outcome in outcomes] == [Response] * 1000
        assert len({path for path, _ in [*a.requests, *b.requests]}) == 1000
        assert a.connections <= 50
        assert b.connections <= 50
        await transport.close()


async def test_a_thousand_deadlines_at_once(make_transport: Make, receiver: Receiver, loop_lag: LoopLag) -> None:
    receiver.hold = asyncio.Event()
    transport = make_transport(max_connections_per_host=20)
    outcomes = await asyncio.gather(*(transport.send(post(receiver.url(), timeout_s=0.3)) for _ in range(1000)))
    assert {reason_of(outcome) for outcome in outcomes} == {Reason.TIMEOUT_TOTAL}
    assert max(outcome.duration_ms for outcome in outcomes) < (0.3 + loop_lag.slack_s()) * 1000
    receiver.hold = None
    assert isinstance(await transport.send(post(receiver.url())), Response)


async def test_cancelled_requests_give_back_their_places(make_transport: Make, receiver: Receiver) -> None:
    transport = make_transport(max_connections_per_host=2)
    for turns in range(12):
        # Cancelled before the dialing task ran, while it connects, and after.
        handles = [transport.start(post(receiver.url()), lambda _: None) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for handle in handles:
            handle.cancel()
    outcomes = await asyncio.gather(*(transport.send(post(receiver.url())) for _ in range(5)))
    assert [type(outcome) for outcome in outcomes] == [Response] * 5


class ClosingResolver:
    """Ends the receiver's side of the newest connection while the name is looked up a second time."""

    def __init__(self) -> None:
        self.receiving: asyncio.StreamWriter | None = None

    async def resolve(self, host: str) -> Sequence[str]:
        if self.receiving is not None:
            descriptor = os.dup(self.receiving.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)
            self.receiving = None
            # The end is in the socket now; the loop sees it right after the step in which the dial goes on.
            await asyncio.sleep(0)
        return ["127.0.0.1"]

    def close(self) -> None: ...


async def test_a_request_repeated_before_its_dial_has_ended_keeps_no_place(make_transport: Make) -> None:
    resolver = ClosingResolver()

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"{}"):
            resolver.receiving = writer
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serve_act(act) as port:
        transport = make_transport(resolver, max_vetted_age_s=0.0)
        for _ in range(5):
            assert isinstance(await transport.send(post(f"http://hooks.example:{port}/")), Response)
        await transport.close()
