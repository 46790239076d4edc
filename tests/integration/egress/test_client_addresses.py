"""The delivery client: names and addresses: pinning, rebinding, re-vetting, resolvers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from hookline.egress import Failure, HttpTransport, Reason, ResolveError, Response, StaticResolver
from integration.egress.receivers import Receiver, post, reason_of
from unit.egress.ssrf_table import NAMES

Make = Callable[..., HttpTransport]


@pytest.mark.parametrize("name", NAMES)
async def test_names_that_lead_inside_are_refused(make_transport: Make, name: str) -> None:
    transport = make_transport(StaticResolver(NAMES), allow=())
    outcome = await transport.send(post(f"https://{name}:8443/"))
    assert reason_of(outcome) is Reason.BLOCKED_ADDRESS
    assert isinstance(outcome, Failure)
    assert not any(address in outcome.detail for address in NAMES[name])


async def test_name_and_host_header_stay_the_customers(make_transport: Make, receiver: Receiver) -> None:
    resolver = StaticResolver({"hooks.example": ["127.0.0.1"]})
    outcome = await make_transport(resolver).send(post(receiver.url(host="hooks.example")))
    assert isinstance(outcome, Response)
    assert outcome.remote == "127.0.0.1"


async def test_plain_http_by_name_only_into_listed_networks(make_transport: Make) -> None:
    resolver = StaticResolver({"public.example": ["93.184.216.34"]})
    assert reason_of(await make_transport(resolver).send(post("http://public.example/"))) is Reason.INVALID_URL


class RebindingResolver:
    """Gives a good address first and a bad one from then on, as a hostile name server does."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str) -> Sequence[str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def close(self) -> None: ...


async def test_rebinding_between_check_and_use_changes_nothing(make_transport: Make, receiver: Receiver) -> None:
    # The name is asked once per connection, so what was checked is what is used.
    resolver = RebindingResolver(["127.0.0.1"], ["10.0.0.1"])
    outcome = await make_transport(resolver).send(post(receiver.url(host="rebind.example")))
    assert isinstance(outcome, Response)
    assert outcome.remote == "127.0.0.1"
    assert len(resolver.answers) == 1


async def test_rebinding_after_the_first_request_is_refused(make_transport: Make, receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    transport = make_transport(RebindingResolver(["127.0.0.1"], ["10.0.0.1"]))
    assert isinstance(await transport.send(post(receiver.url(host="rebind.example"))), Response)
    assert reason_of(await transport.send(post(receiver.url(host="rebind.example")))) is Reason.BLOCKED_ADDRESS


async def test_pooled_connections_are_vetted_anew(make_transport: Make, receiver: Receiver) -> None:
    resolver = RebindingResolver(["127.0.0.1"], ["127.0.0.1", "::1"], ["10.0.0.1"])
    transport = make_transport(resolver, max_vetted_age_s=0.0)
    url = receiver.url(host="rebind.example")
    assert isinstance(await transport.send(post(url)), Response)
    assert isinstance(await transport.send(post(url)), Response)
    # Still the address of its name: the connection stays, and no handshake was needed.
    assert receiver.connections == 1
    assert reason_of(await transport.send(post(url))) is Reason.BLOCKED_ADDRESS
    assert len(receiver.requests) == 2


async def test_a_pooled_connection_to_an_address_the_name_left_is_closed(
    make_transport: Make, receiver: Receiver
) -> None:
    transport = make_transport(RebindingResolver(["127.0.0.1"], ["127.0.0.2"]), max_vetted_age_s=0.0)
    url = receiver.url(host="moved.example")
    assert isinstance(await transport.send(post(url)), Response)
    assert reason_of(await transport.send(post(url))) is Reason.CONNECT
    assert len(receiver.requests) == 1


async def test_the_peer_is_asked_who_it_is(
    make_transport: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A NAT rule that leads elsewhere, played by a socket whose connect goes to another address than it was told.
    loop = asyncio.get_running_loop()
    really = loop.sock_connect
    monkeypatch.setattr(loop, "sock_connect", lambda sock, address: really(sock, ("127.0.0.1", address[1])))
    transport = make_transport(allow=())
    outcome = await transport.send(post(f"https://93.184.216.34:{receiver.port}/"))
    assert reason_of(outcome) is Reason.BLOCKED_ADDRESS
    assert receiver.requests == []


async def test_other_addresses_are_tried_in_turn(make_transport: Make, receiver: Receiver) -> None:
    resolver = StaticResolver({"many.example": ["127.0.0.3", "::1", "127.0.0.1"]})
    outcome = await make_transport(resolver).send(post(receiver.url(host="many.example")))
    assert isinstance(outcome, Response)
    assert outcome.remote == "127.0.0.1"


async def test_names_without_answer(make_transport: Make) -> None:
    resolver = StaticResolver({"flood.example": [f"93.184.{n // 250}.{n % 250 + 1}" for n in range(1000)]})
    transport = make_transport(resolver)
    for name in ("none.example", "flood.example"):
        assert reason_of(await transport.send(post(f"https://{name}/"))) is Reason.DNS


async def test_a_name_server_that_hangs(make_transport: Make) -> None:
    class HangingResolver:
        async def resolve(self, host: str) -> Sequence[str]:
            await asyncio.Event().wait()
            raise ResolveError(host)

        def close(self) -> None: ...

    slow = make_transport(HangingResolver(), dns_timeout_s=0.1)
    assert reason_of(await slow.send(post("https://slow.example/"))) is Reason.DNS
    assert reason_of(await slow.send(post("https://slow.example/", timeout_s=0.05))) is Reason.TIMEOUT_TOTAL


async def test_the_systems_resolver(make_transport: Make, receiver: Receiver) -> None:
    transport = make_transport()
    outcomes = await asyncio.gather(*(transport.send(post(receiver.url(host="localhost"))) for _ in range(5)))
    assert [type(outcome) for outcome in outcomes] == [Response] * 5
    assert reason_of(await transport.send(post("https://does-not-exist.invalid/"))) is Reason.DNS


async def test_nobody_listens(make_transport: Make, free_port: int) -> None:
    outcome = await make_transport().send(post(f"http://127.0.0.1:{free_port}/"))
    assert reason_of(outcome) is Reason.CONNECT
    assert isinstance(outcome, Failure)
    assert "refused" in outcome.detail
